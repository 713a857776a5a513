"""The gate of an instrument: what comes in decides when and how loudly it is heard."""

from __future__ import annotations

from math import exp

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.dsp.smoothing import GRID


class EnvelopeFollower:
    """Gains for each sample from the loudness of what comes in.

    At every `GRID`-th sample the envelope moves towards the peak since the last, and over the next `GRID` samples the
    gain goes to where the envelope says: 1 above the threshold, and 2 dB less for each dB below it.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._into = 0
        self._peak = self._envelope = 0.0
        self._from = self._to = 0.0

    def gains(
        self, peaks: NDArray[np.float32], threshold_db: float, attack_ms: float, release_ms: float
    ) -> NDArray[np.float32]:
        """Return a gain for each sample of `peaks`, the loudest channel's absolute value, both `(frames,)`."""
        gains = np.empty(len(peaks), np.float32)
        start = 0
        while start < len(peaks):
            stop = min(len(peaks), start + GRID - self._into)
            steps = np.arange(self._into + 1, self._into + 1 + stop - start) / GRID
            gains[start:stop] = self._from + (self._to - self._from) * steps
            self._peak = max(self._peak, float(peaks[start:stop].max()))
            self._into += stop - start
            start = stop
            if self._into == GRID:
                self._turn(10 ** (threshold_db / 20), attack_ms, release_ms)
        return gains

    def _turn(self, threshold: float, attack_ms: float, release_ms: float) -> None:
        time_ms = attack_ms if self._peak > self._envelope else release_ms
        self._envelope += (self._peak - self._envelope) * (1 - exp(-1000 * GRID / (self._rate * time_ms)))
        self._from, self._to = self._to, min(1.0, self._envelope / threshold) ** 2
        self._into, self._peak = 0, 0.0
