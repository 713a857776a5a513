"""Routing: which inputs of the device feed each channel of the chain, and which of its outputs each channel plays on.

A route says for each channel the device's sockets, counted from 1: `1,1` is one microphone on two channels, `3,4` the
second pair, `1+2,0` the sum of two sockets on the first channel and nothing on the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.stage import Audio

Route = tuple[tuple[int, ...], ...]
"""The sockets of each channel, from 1; none, one or several."""
Matrix = NDArray[np.float64]
"""1 where a channel (row) and a socket (column) are connected, else 0."""

MOST = 64
"""Sockets beyond this are taken for a mistake."""
_FADE = 480
"""Samples over which a connection is faded in or out: 10 ms at 48 kHz."""


class RouteError(ValueError):
    """A route does not fit channels or device; the message says what was found and what was expected."""


def parse_route(text: str) -> Route:
    """Return the route that a text means: channels between commas, a channel's sockets between pluses, 0 for none.

    Raises:
        RouteError: it means none.
    """
    channels = [channel.split("+") for channel in text.split(",")]
    if not all(socket.strip().isdecimal() and int(socket) <= MOST for channel in channels for socket in channel):
        raise RouteError(f"route {text!r}: expected numbers up to {MOST} such as 1,1 or 3,4 or 1+2,0")
    return tuple(tuple(int(socket) for socket in channel if int(socket)) for channel in channels)


def straight(channels: int) -> Route:
    """Return the route on which every channel has the socket of its own number."""
    return tuple((channel + 1,) for channel in range(channels))


def check_route(route: Route, channels: int, sockets: int, side: str) -> None:
    """Accept a route of `channels` channels to the `sockets` inputs or outputs (`side`) that a device has.

    Raises:
        RouteError: it does not fit.
    """
    if len(route) != channels:
        raise RouteError(f"{side}s {as_text(route)}: {len(route)} channels; expected {channels}, as the chain has")
    for socket in (socket for channel in route for socket in channel):
        if not 1 <= socket <= sockets:
            raise RouteError(f"{side}s {as_text(route)}: no {side} {socket}; expected 1 to {sockets}, or 0 for none")


def as_text(route: Route) -> str:
    """Return a route as it is written."""
    return ",".join("+".join(map(str, channel)) or "0" for channel in route)


def matrix_of(route: Route, sockets: int) -> Matrix:
    """Return a route as a matrix of channels by sockets."""
    matrix = np.zeros((len(route), sockets))
    for row, channel in zip(matrix, route, strict=True):
        row[[socket - 1 for socket in channel]] = 1
    return matrix


class ChannelMatrix:
    """Connections from the rows of a block to rows of another; whatever is plugged or pulled is faded."""

    def __init__(self, matrix: Matrix) -> None:
        self._gains = matrix.copy()
        self.plug(matrix)

    def plug(self, matrix: Matrix) -> None:
        """Go over to other connections, `(rows out, rows in)`, from wherever the fades stand."""
        self._target = matrix.copy()
        self._sources = [np.flatnonzero(row) for row in matrix]
        self._is_straight = np.array_equal(matrix, np.eye(*matrix.shape)) and matrix.shape[0] == matrix.shape[1]

    def process(self, block: Audio) -> Audio:
        """Return the sums of the rows of `block`, `(rows in, frames)`, that each row out is connected to."""
        if not np.array_equal(self._gains, self._target):
            return self._fade(block)
        if self._is_straight:
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
    """Yield the places where there is a connection, or will be one."""
    yield from np.argwhere((now != 0) | (then != 0)).tolist()
