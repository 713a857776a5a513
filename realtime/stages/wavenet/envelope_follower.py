"""The gate of the WaveNet stage: an envelope follower on the input controls the gain of the output."""

from __future__ import annotations

from math import exp

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.dsp.smoothing import GRID


class EnvelopeFollower:
    """Gains for each sample from the level of the input, at `rate` Hz.

    At every `GRID`-th sample the envelope moves towards the peak since the last, and over the next `GRID` samples the
    gain moves to the envelope's: 1 above the threshold, and 2 dB less for each dB below it.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._into = 0
        self._peak = self._envelope = 0.0
        self._start_gain = self._end_gain = 0.0

    def gains(
        self, peaks: NDArray[np.float32], threshold_db: float, attack_ms: float, release_ms: float
    ) -> NDArray[np.float32]:
        """Return a gain for each sample of `peaks`, the largest absolute value over the channels, both `(frames,)`."""
        gains = np.empty(len(peaks), np.float32)
        start = 0
        while start < len(peaks):
            stop = min(len(peaks), start + GRID - self._into)
            steps = np.arange(self._into + 1, self._into + 1 + stop - start) / GRID
            gains[start:stop] = self._start_gain + (self._end_gain - self._start_gain) * steps
            self._peak = max(self._peak, float(peaks[start:stop].max()))
            self._into += stop - start
            start = stop
            if self._into == GRID:
                self._update(10 ** (threshold_db / 20), attack_ms, release_ms)
        return gains

    def _update(self, threshold: float, attack_ms: float, release_ms: float) -> None:
        time_ms = attack_ms if self._peak > self._envelope else release_ms
        self._envelope += (self._peak - self._envelope) * (1 - exp(-1000 * GRID / (self._rate * time_ms)))
        self._start_gain, self._end_gain = self._end_gain, min(1.0, self._envelope / threshold) ** 2
        self._into, self._peak = 0, 0.0
