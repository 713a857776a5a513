"""Is it speech? A running guess from how levels move: speech pauses, and its highs come where its lows are not.

A logistic regression on eight statistics over the last seconds, fitted on recordings of speech and music by
`gramophone.offline.recipes.speech`. No band says what is spoken, and the level does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gramophone.models.style.gaussian import Doubles, mixed

BANDS = 16
RANGE_HZ = (100.0, 7000.0)

MEMORY_S = 4.0
SMOOTHING_S = 0.02
LAGS_S = (0.1, 0.25)
FLOOR = 1e-5
LOW_DB = (-6.0, -20.0)
WEIGHTS = (0.2934, 2.0524, 2.65, 0.1833, 0.392, -1.2661, -3.0019, 0.2316)
BIAS = -5.135
SHARPNESS = 2.0
SURELY = (0.4, 0.7)
"""Likelihoods that count as none and as full certainty."""
SILENCE = 1e-12


@dataclass(frozen=True)
class SpeechDetector:
    """What the guess rests on. Rate of frames in Hz; a pure value: `after` returns another."""

    frame_rate: float
    smoothed: Doubles
    level: float
    weight: float
    sums: Doubles
    past: Doubles
    seconds: float

    @staticmethod
    def new(frame_rate: float) -> SpeechDetector:
        """Return a detector before any input; it assumes speech at first."""
        past = np.full(math.ceil(max(LAGS_S) * frame_rate), 10 * math.log10(FLOOR))
        return SpeechDetector(frame_rate, np.zeros(BANDS), 0.0, 0.0, np.zeros(2 * BANDS + 11), past, 0.0)

    def after(self, powers: ArrayLike) -> SpeechDetector:
        """Return the detector once frames of mean power by band, `(n, BANDS)`, oldest first, have passed too."""
        known_powers = np.asarray(powers, np.float64)
        if not len(known_powers):
            return self
        hold = math.exp(-1 / (SMOOTHING_S * self.frame_rate))
        fade = math.exp(-1 / (MEMORY_S * self.frame_rate))
        smoothed, level, weight = self.smoothed, self.level, self.weight
        series, levels = [], []
        for power in known_powers:
            smoothed = mixed(power, smoothed, hold)
            level, weight = level * fade + float(smoothed.mean()), weight * fade + 1
            series.append(smoothed)
            levels.append(level / weight + SILENCE)
        relative = np.stack(series) / np.array(levels)[:, None]
        bands = 10 * np.log10(relative + FLOOR)
        total = 10 * np.log10(relative.mean(1) + FLOOR)
        known = np.concatenate([self.past, total])
        start = len(self.past)
        lags = [round(seconds * self.frame_rate) for seconds in LAGS_S]
        lagged = [known[start - lag : start - lag + len(total)] for lag in lags]
        low, high = bands[:, 2:8].mean(1), bands[:, 12:].mean(1)
        quiet = [(total < limit).astype(np.float64) for limit in LOW_DB]
        products = [total * total, *(total * other for other in lagged), low * high, low, high, low * low, high * high]
        values = np.concatenate([bands, np.square(bands), np.stack([*quiet, total, *products], 1)], 1)
        fades = fade ** np.arange(len(values) - 1.0, -1.0, -1.0)
        return SpeechDetector(
            self.frame_rate,
            smoothed,
            level,
            weight,
            self.sums * fade ** len(values) + fades @ values,
            known[-start:].copy(),
            self.seconds + len(values) / self.frame_rate,
        )

    @property
    def certainty(self) -> float:
        """How sure it is that this is speech, 0 to 1; at first 1, for it is the less harmful error."""
        evidence = 0.0
        if self.weight:
            evidence = sum(w * f for w, f in zip(WEIGHTS, self._statistics(), strict=True)) + BIAS
        heard = min(self.seconds / MEMORY_S, 1.0)
        caution = 3.0 * math.exp(-self.seconds)
        score = min(max(SHARPNESS * evidence * heard, -6.0), 6.0) + caution
        none, full = SURELY
        return min(max((1 / (1 + math.exp(-score)) - none) / (full - none), 0.0), 1.0)

    def _statistics(self) -> tuple[float, ...]:
        mean, square, rest = np.split(self.sums / self.weight, [BANDS, 2 * BANDS])
        spread = np.sqrt(np.maximum(square - np.square(mean), 0))
        quiet, pause, total, total_2, lag_1, lag_2, low_high, low, high, low_2, high_2 = rest.tolist()
        variance = max(total_2 - total**2, 0.0)
        both = math.sqrt(max(low_2 - low**2, 0.0) * max(high_2 - high**2, 0.0))
        return (
            float(spread.mean()),
            quiet,
            pause,
            math.sqrt(variance),
            (lag_1 - total**2) / (variance + 1),
            (lag_2 - total**2) / (variance + 1),
            (low_high - low * high) / (both + 1),
            float(spread[12:].mean()),
        )
