"""A delay line: keeps the dry path in step with a wet path that is late."""

from __future__ import annotations

import numpy as np

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
        self._next = 0

    def process(self, block: Audio) -> Audio:
        """Return `block`, `(channels, frames)`, `delay` samples late; without delay, `block` itself."""
        if not self._delay:
            return block
        self.write(block)
        return self.read(block.shape[1])

    def write(self, block: Audio) -> None:
        """Append `block`, `(channels, frames)`."""
        frames = block.shape[1]
        if frames + self._longest > self._ring.shape[1]:
            self._grow(frames)
        size = self._ring.shape[1]
        end = self._next + frames
        if end <= size:
            self._ring[:, self._next : end] = block
        else:
            first = size - self._next
            self._ring[:, self._next :] = block[:, :first]
            self._ring[:, : frames - first] = block[:, first:]
        self._next = end % size

    def read(self, frames: int, delay: int | None = None) -> Audio:
        """Return the samples that end `delay` before the newest, `(channels, frames)`, in an array of their own.

        `frames` is at most the length of the block written last. A delay beyond what the ring keeps is shortened to
        the longest that it keeps.
        """
        size = self._ring.shape[1]
        start = (self._next - frames - min(self._delay if delay is None else delay, size - frames)) % size
        first = min(frames, size - start)
        if first == frames:
            return self._ring[:, start : start + frames].copy()
        return np.concatenate((self._ring[:, start:], self._ring[:, : frames - first]), axis=1)

    def _grow(self, frames: int) -> None:
        """Make room for `frames` more samples; silence stands before the oldest sample kept."""
        in_order = np.roll(self._ring, -self._next, axis=1)
        self._ring = np.pad(in_order, ((0, 0), (frames, 0)))
        self._next = 0
