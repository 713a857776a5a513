"""What is above a model's band, as it came in: the input less what of it goes through the bridge."""

from __future__ import annotations

import numpy as np

from gramophone.realtime.dsp.resampler import Resampler
from gramophone.realtime.kernels.arrays import Floats


class HighBand:
    """Blocks at `rate` Hz to all of them that a bridge to `inner` Hz leaves behind, `delay` samples late.

    Added to what comes back over the bridge unchanged it makes the input again, to the sample.
    """

    def __init__(self, rate: int, inner: int, delay: int) -> None:
        self._up = Resampler(inner, rate)
        self._past = np.zeros(delay, np.float32)
        self._low = np.zeros(delay, np.float32)

    def process(self, block: Floats, heard: Floats) -> Floats:
        """Return the band of a block, `(frames,)`, of which the bridge heard `(samples,)` at its own rate."""
        low = np.concatenate((self._low, self._up.process(heard, self._up.available_outputs(len(heard)))))
        known = np.concatenate((self._past, block))
        self._low, self._past = low[len(block) :], known[len(block) :]
        return known[: len(block)] - low[: len(block)]
