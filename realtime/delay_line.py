"""A delay line: what keeps a dry path in step with a wet one."""

from __future__ import annotations

import numpy as np

from gramophone.realtime.stage import Audio


class DelayLine:
    """Gives back `(channels, frames)` blocks of any length `delay` samples later, silence first."""

    def __init__(self, channels: int, delay: int) -> None:
        self._past = np.zeros((channels, delay), np.float32)

    def process(self, block: Audio) -> Audio:
        """Return the delayed block; without delay, `block` itself."""
        delay = self._past.shape[1]
        if not delay:
            return block
        joined = np.concatenate((self._past, block), axis=1)
        self._past = joined[:, block.shape[1] :]
        return joined[:, : block.shape[1]]
