"""Channel routing: which of the device's inputs feed each channel of the chain, and which outputs each channel feeds.

A route lists for each channel of the chain the device's channels, counted from 1: `1,1` is one microphone on two
channels, `3,4` the second pair, `1+2,0` the sum of two device channels on the first and silence on the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.stage import Audio

Route = tuple[tuple[int, ...], ...]
"""The device channels, from 1, of each channel of the chain; none, one or several."""
Matrix = NDArray[np.float64]
"""1 where a channel of the chain (row) and one of the device (column) are connected, else 0."""

MAX_DEVICE_CHANNELS = 64
"""Higher channel numbers are taken for a mistake."""
_FADE = 480
"""Samples over which a connection is faded in or out: 10 ms at 48 kHz."""


class RouteError(ValueError):
    """A route does not fit channels or device; the message says what was found and what was expected."""


def parse_route(text: str) -> Route:
    """Return the route that a text describes: commas between channels, `+` between device channels, 0 for none.

    Raises:
        RouteError: the text is not a route.
    """
    channels = [channel.split("+") for channel in text.split(",")]
    if not all(
        number.strip().isdecimal() and int(number) <= MAX_DEVICE_CHANNELS for channel in channels for number in channel
    ):
        raise RouteError(f"route {text!r}: expected numbers up to {MAX_DEVICE_CHANNELS} such as 1,1 or 3,4 or 1+2,0")
    return tuple(tuple(int(number) for number in channel if int(number)) for channel in channels)


def one_to_one(channels: int) -> Route:
    """Return the route that connects every channel with the device channel of the same number."""
    return tuple((channel + 1,) for channel in range(channels))


def check_route(route: Route, channels: int, device_channels: int, side: str) -> None:
    """Check a route between a chain of `channels` and a device with so many channels on a `side` (input or output).

    Raises:
        RouteError: it does not fit.
    """
    if len(route) != channels:
        raise RouteError(f"{side}s {format_route(route)}: {len(route)} channels; expected {channels}, as the chain has")
    for number in (number for channel in route for number in channel):
        if not 1 <= number <= device_channels:
            raise RouteError(
                f"{side}s {format_route(route)}: no {side} {number}; expected 1 to {device_channels}, or 0 for none"
            )


def format_route(route: Route) -> str:
    """Return a route as text, as `parse_route` reads it."""
    return ",".join("+".join(map(str, channel)) or "0" for channel in route)


def route_matrix(route: Route, device_channels: int) -> Matrix:
    """Return a route as a matrix, `(channels, device_channels)`."""
    matrix = np.zeros((len(route), device_channels))
    for row, channel in zip(matrix, route, strict=True):
        row[[number - 1 for number in channel]] = 1
    return matrix


class ChannelMatrix:
    """Mixes the rows of a block into the rows of another; a connection made or broken is faded over 10 ms."""

    def __init__(self, matrix: Matrix) -> None:
        self._gains = matrix.copy()
        self.set(matrix)

    def set(self, matrix: Matrix) -> None:
        """Fade to other connections, `(rows out, rows in)`, from the current gains."""
        self._target = matrix.copy()
        self._sources = [np.flatnonzero(row) for row in matrix]
        self._is_identity = np.array_equal(matrix, np.eye(*matrix.shape)) and matrix.shape[0] == matrix.shape[1]

    def process(self, block: Audio) -> Audio:
        """Return for each row out the sum of its rows of `block`: `(rows in, frames)` to `(rows out, frames)`."""
        if not np.array_equal(self._gains, self._target):
            return self._fade(block)
        if self._is_identity:
            return block
        return np.stack([_sum(block[sources]) for sources in self._sources])

    def _fade(self, block: Audio) -> Audio:
        frames = block.shape[1]
        steps = np.arange(1, frames + 1, dtype=np.float32) / _FADE
        output = np.zeros((len(self._target), frames), np.float32)
        for row, column in _either(self._gains, self._target):
            start, end = self._gains[row, column], self._target[row, column]
            ramp = np.clip(start + steps, 0, end) if end > start else np.clip(start - steps, end, 1)
            output[row] += block[column] * ramp.astype(np.float32)
            self._gains[row, column] = ramp[-1]
        return output


def _sum(rows: Audio) -> Audio:
    total: Audio = rows[0] if len(rows) == 1 else rows.sum(axis=0, dtype=np.float32)
    return total


def _either(now: Matrix, then: Matrix) -> Iterator[Sequence[int]]:
    """Yield the `(row, column)` pairs that are connected, or will be."""
    yield from np.argwhere((now != 0) | (then != 0)).tolist()
