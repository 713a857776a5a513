"""A delay line: what keeps a dry path in step with a wet one."""

from __future__ import annotations

import numpy as np

from gramophone.realtime.stage import Audio

_SPARE = 2048
"""Samples beyond the delay that a line has room for at first; longer blocks make it grow."""


class DelayLine:
    """Gives back `(channels, frames)` blocks of any length `delay` samples later, silence first.

    Writing and reading are apart, for what is not read need not be put together.
    """

    def __init__(self, channels: int, delay: int) -> None:
        self._delay = delay
        self._ring = np.zeros((channels, delay + _SPARE), np.float32)
        self._next = 0

    def process(self, block: Audio) -> Audio:
        """Return the delayed block; without delay, `block` itself."""
        if not self._delay:
            return block
        self.write(block)
        return self.read(block.shape[1])

    def write(self, block: Audio) -> None:
        """Take in a block."""
        frames, size = block.shape[1], self._ring.shape[1]
        if frames + self._delay > size:
            self._grow(frames)
            size = self._ring.shape[1]
        first = min(frames, size - self._next)
        self._ring[:, self._next : self._next + first] = block[:, :first]
        self._ring[:, : frames - first] = block[:, first:]
        self._next = (self._next + frames) % size

    def read(self, frames: int) -> Audio:
        """Return the `frames` samples that end `delay` before the newest; the block written last at the most."""
        size = self._ring.shape[1]
        start = (self._next - self._delay - frames) % size
        first = min(frames, size - start)
        return np.concatenate((self._ring[:, start : start + first], self._ring[:, : frames - first]), axis=1)

    def _grow(self, frames: int) -> None:
        """Make room for a longer block; the newest `delay` samples are all that can still be asked for."""
        in_order = np.roll(self._ring, -self._next, axis=1)
        past = in_order[:, in_order.shape[1] - self._delay :]
        self._ring = np.zeros((len(past), self._delay + frames), np.float32)
        self._ring[:, : self._delay] = past
        self._next = self._delay % self._ring.shape[1]
