"""The mono sum of a stereo input, which speech in opposite phase on the two channels does not cancel.

Usually it is the mean of the channels, the mid. Where the side, half their difference, is much stronger for some 20 ms
(a cable with swapped wires, a microphone in figure of eight), the side is taken until the mid is much stronger again.
Powers are measured over windows by the count of samples, so the result does not depend on the blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.stage import Audio

if TYPE_CHECKING:
    from gramophone.realtime.kernels.arrays import Floats

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
        self._is_stereo = channels == 2
        self._window = np.zeros((2, round(_WINDOW_S * rate)), np.float32)
        self._filled = 0
        self._powers = np.zeros(2)
        self._side_share = Fade(0.0, self._window.shape[1])

    def process(self, block: Audio) -> Floats:
        """Return the mono sum of a block."""
        mid = block[0] if len(block) == 1 else np.asarray(block.mean(axis=0), np.float32)
        if not self._is_stereo:
            return mid
        side = (block[0] - block[1]) * np.float32(0.5)
        parts, start = [], 0
        while start < len(mid):
            stop = min(len(mid), start + self._window.shape[1] - self._filled)
            share = self._side_share.next(stop - start)
            parts.append(crossfade(mid[start:stop], side[start:stop], share))
            self._measure(mid[start:stop], side[start:stop])
            start = stop
        return np.concatenate(parts) if parts else mid

    def _measure(self, mid: Floats, side: Floats) -> None:
        """Fill the window; where it is full, choose what the sum is from the next sample on."""
        filled = self._filled + len(mid)
        self._window[0, self._filled : filled], self._window[1, self._filled : filled] = mid, side
        self._filled = filled % self._window.shape[1]
        if self._filled:
            return
        self._powers += _SHARE * (np.square(self._window, dtype=np.float64).mean(axis=1) - self._powers)
        of_mid, of_side = self._powers
        if of_side > max(_STRONGER * of_mid, _FAINTEST):
            self._side_share.set(1.0)
        elif of_mid > max(_STRONGER * of_side, _FAINTEST):
            self._side_share.set(0.0)
