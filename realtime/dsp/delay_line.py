"""A delay line: keeps the dry path in step with a wet path that is late."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.stage import Audio

LONGEST_DELAY = 1 << 18
"""Samples, more than five seconds at 48 kHz: what a line keeps whose delay follows the latency of a changing chain."""
_SPARE = 2048
"""Samples beyond the longest delay that the ring has room for at first; a longer block makes it grow."""


class DelayLine:
    """A ring of the newest samples of each channel, read some samples late; silence before the first sample.

    `delay` in samples is what `read` uses unless told otherwise; it can also read at any other delay up to `longest`
    samples. Writing and reading are separate calls: a dry path that is not in the mix need not be read.
    """

    def __init__(self, channels: int, delay: int = 0, longest: int = 0) -> None:
        self._delay = delay
        self._longest = max(delay, longest)
        self._ring = np.zeros((channels, self._longest + _SPARE), np.float32)
        self._next = np.zeros(1, np.int64)
        self._place: memoryview[int] = self._next.data

    @property
    def memory(self) -> tuple[Audio, NDArray[np.int64], int]:
        """What a kernel needs to write: ring, place of the next sample, and the longest block that there is room for.

        For a longer block, `make_room` and `write` take other memory.
        """
        return self._ring, self._next, self._ring.shape[1] - self._longest

    def process(self, block: Audio) -> Audio:
        """Return `block`, `(channels, frames)`, `delay` samples late; without delay, `block` itself."""
        if not self._delay:
            return block
        self.write(block)
        return self.read(block.shape[1])

    def write(self, block: Audio) -> None:
        """Append `block`, `(channels, frames)`."""
        frames = block.shape[1]
        self.make_room(frames)
        size, start = self._ring.shape[1], self._place[0]
        end = start + frames
        if end <= size:
            self._ring[:, start:end] = block
        else:
            first = size - start
            self._ring[:, start:] = block[:, :first]
            self._ring[:, : frames - first] = block[:, first:]
        self._place[0] = end % size

    def read(self, frames: int, delay: int | None = None) -> Audio:
        """Return the samples that end `delay` before the newest, `(channels, frames)`, in an array of their own.

        `frames` is at most the length of the block written last. A delay beyond what the ring keeps is shortened to
        the longest that it keeps.
        """
        size = self._ring.shape[1]
        start = (self._place[0] - frames - min(self._delay if delay is None else delay, size - frames)) % size
        first = min(frames, size - start)
        if first == frames:
            return self._ring[:, start : start + frames].copy()
        return np.concatenate((self._ring[:, start:], self._ring[:, : frames - first]), axis=1)

    def make_room(self, frames: int) -> bool:
        """Make room for a block of `frames` samples, and return whether that took other memory.

        Silence stands before the oldest sample kept.
        """
        if frames + self._longest <= self._ring.shape[1]:
            return False
        in_order = np.roll(self._ring, -self._place[0], axis=1)
        self._ring = np.pad(in_order, ((0, 0), (frames, 0)))
        self._place[0] = 0
        return True
