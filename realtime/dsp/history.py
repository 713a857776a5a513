"""The sound of the last seconds, at any delay: what is dry beside a chain whose latency may change."""

from __future__ import annotations

import numpy as np

from gramophone.realtime.stage import Audio

LONGEST = 1 << 18
"""Samples that are kept: more than five seconds at 48 kHz."""


class History:
    """The last `size` samples of each channel, silence before the first."""

    def __init__(self, channels: int, size: int = LONGEST) -> None:
        self._past = np.zeros((channels, size), np.float32)
        self._at = 0

    def write(self, block: Audio) -> None:
        """Append `block`, `(channels, frames)`."""
        frames, size = block.shape[1], self._past.shape[1]
        first = min(frames, size - self._at)
        self._past[:, self._at : self._at + first] = block[:, :first]
        self._past[:, : frames - first] = block[:, first:]
        self._at = (self._at + frames) % size

    def read(self, frames: int, delay: int) -> Audio:
        """Return the `frames` samples that end `delay` samples before the newest, an array of its own.

        A delay beyond what is kept is taken as the longest there is.
        """
        size = self._past.shape[1]
        start = (self._at - frames - min(delay, size - frames)) % size
        first = min(frames, size - start)
        if first == frames:
            return self._past[:, start : start + frames].copy()
        return np.concatenate((self._past[:, start:], self._past[:, : frames - first]), axis=1)
