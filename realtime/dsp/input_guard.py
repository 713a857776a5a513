"""What comes in, made harmless: finite, and at most +48 dBFS.

A NaN or 1e20 would stay in every recursive filter for ever, and on the dry path it would go straight to a loudspeaker.
"""

from __future__ import annotations

import numpy as np

from gramophone.realtime.stage import Audio

LOUDEST_INPUT = 251.0
"""+48 dBFS: above what any converter, mixer or file of sound delivers."""


class InputGuard:
    """Takes NaN and infinities as silence and limits the rest to `LOUDEST_INPUT`.

    `non_finite` and `limited` count the samples of each kind.
    """

    def __init__(self) -> None:
        self.non_finite = self.limited = 0

    def process(self, block: Audio) -> Audio:
        """Return `block`, `(channels, frames)`, itself where nothing is wrong with it; never writes it."""
        if not block.size:
            return block
        flat = block.ravel()
        with np.errstate(over="ignore", invalid="ignore"):
            # one product is enough where nothing is wrong: a sample alone beyond the limit exceeds it
            if float(np.dot(flat, flat)) <= LOUDEST_INPUT**2:
                return block
            finite = np.isfinite(block)
            loud = np.abs(block) > LOUDEST_INPUT
        infinite = int(block.size - np.count_nonzero(finite))
        self.non_finite += infinite
        self.limited += int(np.count_nonzero(loud & finite))
        if not loud.any() and not infinite:
            return block
        return np.clip(np.where(finite, block, np.float32(0)), -LOUDEST_INPUT, LOUDEST_INPUT)
