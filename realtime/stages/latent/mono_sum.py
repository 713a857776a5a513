"""The mono sum of a stereo input, which speech in opposite phase on the two channels does not cancel.

Usually it is the mean of the channels, the mid. Where the side, half their difference, is much stronger for some 20 ms
(a cable with swapped wires, a microphone in figure of eight), the side is taken until the mid is much stronger again.
Powers are measured over windows by the count of samples, so the result does not depend on the blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio

_WINDOW_S = 0.01
_SHARE = 0.3
"""How much of the running power is of the newest window."""
_STRONGER = 4.0
"""By what factor of power, 6 dB, the other signal has to be stronger: one channel alone is as strong in both."""
_FAINTEST = 1e-8
"""Mean square, -80 dBFS, below which nothing is changed."""


class MonoSum:
    """Blocks of `(channels, frames)` to their mono sum `(frames,)`; `rate` in Hz."""

    def __init__(self, rate: int, channels: int) -> None:
        window = np.zeros((2, round(_WINDOW_S * rate)), np.float32)
        self._counts = np.zeros(2, np.int64)
        state = window, self._counts, np.zeros(2)
        self._split = bind(_split, state, window, 0) if channels == 2 else None
        self._side_share = Fade(0.0, window.shape[1])

    def process(self, block: Audio) -> Floats:
        """Return the mono sum of a block."""
        if not self._split:
            return block[0] if len(block) == 1 else np.asarray(block.mean(axis=0), np.float32)
        sides = np.array(block, np.float32, order="C")
        start = 0
        while start < sides.shape[1]:
            stop = self._split(sides, start)
            if self._side_share.left or self._side_share.target:
                share = self._side_share.next(stop - start)
                sides[0, start:stop] = crossfade(sides[0, start:stop], sides[1, start:stop], share)
            self._side_share.set(float(self._counts[1]))
            start = stop
        mono: Floats = sides[0]
        return mono


@jit
def _split(bound: Any, block: Floats, start: int) -> Any:
    """Turn left and right, `(2, frames)`, into mid and side from `start` on; return where that ends.

    It ends with the block, or where the choice changes. `window` `(2, samples)` is filled with both, as far as
    `counts[0]` says; `counts[1]` is 1 where the side is chosen. `powers` are the running ones.
    """
    window, counts, powers = contents(bound)
    length = window.shape[1]
    for i in range(start, block.shape[1]):
        mid, side = (block[0, i] + block[1, i]) * np.float32(0.5), (block[0, i] - block[1, i]) * np.float32(0.5)
        block[0, i], block[1, i] = mid, side
        window[0, counts[0]], window[1, counts[0]] = mid, side
        counts[0] += 1
        if counts[0] == length:
            counts[0] = 0
            for which in range(2):
                total = 0.0
                for j in range(length):
                    total += float(window[which, j]) ** 2
                powers[which] += _SHARE * (total / length - powers[which])
            other = powers[1 - counts[1]]
            if other > max(_STRONGER * powers[counts[1]], _FAINTEST):
                counts[1] = 1 - counts[1]
                return i + 1
    return block.shape[1]
