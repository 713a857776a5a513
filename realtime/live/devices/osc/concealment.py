"""Concealment: sound in place of a block that never came, without a click.

The last sound runs back and forth, so that it goes on where it ended, and dies away; what comes after it fades in.
"""

from __future__ import annotations

import numpy as np

from gramophone.realtime.dsp.smoothing import crossfade
from gramophone.realtime.stage import Audio


class Concealer:
    """Blocks `(channels, frames)` in, the same out; after a gap the first one fades in. `fade`: samples to silence."""

    def __init__(self, channels: int, fade: int) -> None:
        self._last = np.zeros((channels, 1), np.float32)
        self._fade = fade
        self._gone = 0
        self._broken = False

    def take(self, block: Audio) -> Audio:
        """Return the sound for a block that has come: itself, or after a gap the way back to it."""
        if self._broken:
            rising = np.linspace(0, 1, block.shape[1], endpoint=False, dtype=np.float32)
            block = crossfade(self._carry_on(block.shape[1]), block, rising)
        self._last, self._gone, self._broken = block, 0, False
        return block

    def conceal(self, frames: int) -> Audio:
        """Return the sound instead of a block of so many `frames`."""
        self._broken = True
        return self._carry_on(frames)

    def interrupt(self) -> None:
        """Let the next block fade in: it does not follow on the last one."""
        self._broken = True

    def _carry_on(self, frames: int) -> Audio:
        """Return the last sound from its end to its beginning, to its end, and so on, ever softer."""
        size = self._last.shape[1]
        count = self._gone + np.arange(frames)
        self._gone += frames
        phase = count % (2 * size)
        place = np.where(phase < size, size - 1 - phase, phase - size)
        gain = np.clip(1 - (count + 1) / self._fade, 0, None).astype(np.float32)
        return self._last[:, place] * gain
