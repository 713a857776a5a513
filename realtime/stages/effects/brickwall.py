"""A limiter that looks ahead, as pedalboard's BrickwallLimiter: its gain falls at once, is held, and rises slowly.

The sound is so much later that a peak comes out when the gain has been down for all of the look-ahead.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import contents
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.effects.kernel import EffectKernel, exact, inner, rounded

_F = np.float32
_CHUNK = 256
_LOOK_AHEAD_MS = 5.0
_CEILING, _RISE, _HOW = range(3)
"""The ceiling as an amplitude, and by which share of what is missing the gain rises in a sample. How many these are."""


@inner
def _peaks(block: Floats, peaks: Floats) -> Any:
    """Write the highest amount of all channels, sample by sample; return the highest of all."""
    highest = _F(0)
    for channel in range(len(block)):
        x = block[channel]
        for i in range(len(x)):
            size = abs(x[i])
            before = peaks[i] if channel else _F(0)
            peaks[i] = size if size > before else before
    for i in range(len(peaks)):
        highest = peaks[i] if peaks[i] > highest else highest
    return highest


@inner
def _gains(peaks: Floats, how: Floats, gain: Any, hold: Any, look_ahead: int) -> None:
    """Write the gains of samples with these `peaks` in their place; `gain` and `hold` `(1,)` are what is kept."""
    ceiling, rise, now, left = how[_CEILING], how[_RISE], gain[0], hold[0]
    for i in range(len(peaks)):
        target = ceiling / peaks[i] if peaks[i] > ceiling else _F(1)
        if target < _F(1):
            now, left = min(now, target), look_ahead
        elif left > 0:
            left -= 1
        else:
            now += rise * (_F(1) - now)
        peaks[i] = now
    gain[0], hold[0] = now, left


@inner
def _play(line: Floats, at: int, look_ahead: int, x: Floats, gains: Floats, ceiling: Any, y: Floats) -> None:
    """Write a channel to its line at `at`, and what left it, with its gains, to `y`."""
    mask, frames = len(line) - 1, len(x)
    done = 0
    while done < frames:
        write = (at + done) & mask
        run = min(frames - done, len(line) - write)
        new, piece = line[write : write + run], x[done : done + run]
        for i in range(run):  # an assignment of arrays takes seconds to be compiled
            new[i] = piece[i]
        done += run
    done = 0
    while done < frames:
        read = (at + done - look_ahead) & mask
        run = min(frames - done, len(line) - read)
        late, gain, out = line[read : read + run], gains[done : done + run], y[done : done + run]
        for i in range(run):
            out[i] = min(max(late[i] * gain[i], -ceiling), ceiling)
        done += run


@exact
def _brickwall(bound: Any, block: Floats, output: Floats) -> None:
    how, line, gain, hold, place, peaks, look_ahead = contents(bound)
    start, frames = 0, block.shape[1]
    while start < frames:
        size = min(_CHUNK, frames - start)
        x, y, gains = block[:, start : start + size], output[:, start : start + size], peaks[:size]
        if _peaks(x, gains) <= how[_CEILING] and gain[0] == _F(1):
            for i in range(size):
                gains[i] = _F(1)
            hold[0] = max(hold[0] - size, 0)
        else:
            _gains(gains, how, gain, hold, look_ahead)
        for channel in range(len(block)):
            _play(line[channel], place[0], look_ahead, x[channel], gains, how[_CEILING], y[channel])
        place[0] += size
        start += size


class Brickwall(EffectKernel):
    """pedalboard's BrickwallLimiter, which looks 5 ms ahead."""

    kernel = staticmethod(_brickwall)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return how it works, its line, the gain, for how long that is held, the place in the line, and a chunk."""
        self.delay = max(1, int(form.rate * _LOOK_AHEAD_MS / 1000))
        self._how, line = zeros(_HOW), zeros(form.channels, 1 << (self.delay + _CHUNK).bit_length())
        gain, hold, place = np.ones(1, np.float32), np.zeros(1, np.int64), np.zeros(1, np.int64)
        return (self._how, line, gain, hold, place, zeros(_CHUNK), self.delay), (line, gain, hold, place)

    def update(self) -> None:
        """Compute how it works."""
        samples = max(1, int(self._form.rate * float(self.number("release")) / 1000))
        keeps = rounded(math.exp, _F(-1) / _F(samples))
        self._how[:] = rounded(lambda power: 10.0**power, self.number("ceiling") / _F(20)), _F(1) - keeps
