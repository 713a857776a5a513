"""Is it speech? A running guess from how levels move: speech pauses, and its highs come where its lows are not.

Percussion and plucked strings pause as well, but move by jumps, after which levels fall evenly; in a voice they move
all the time, and so does the balance of middle and low bands, with its formants. A network of eight units on twelve
statistics over the last seconds, fitted on recordings by `gramophone.offline.recipes.speech`. No band says what is
spoken, and the level does not matter.
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
LAGS_S = (0.05, 0.1, 0.25, 0.5)
CHANGE_S = 0.016
"""Time over which changes of level count."""
FLOOR = 1e-5
LOW_DB = (-6.0, -20.0)
LOW, MIDDLE, HIGH = (2, 8), (8, 12), (12, BANDS)
"""Bands."""
SUMS = 17
HIDDEN = (
    (-0.0028, 0.0009, -1.9344, 0.0202, 1.142, 1.4093, -0.9213, -0.1402, -1.4848, -0.1759, -2.0078, -0.3938, 4.3407),
    (-0.2972, -2.3927, 5.2277, -0.1763, 3.1618, -2.7952, 1.5367, 0.2052, -1.2769, 0.1921, -0.1931, 0.0878, 3.2618),
    (-0.0571, 1.4702, 4.0126, 0.0089, -6.2632, 2.247, 0.6243, 0.0856, -0.5816, 0.0979, 1.2263, -0.4616, 3.693),
    (-0.1375, 2.5227, -6.2265, 0.043, 0.0867, -2.1447, -1.3587, 0.8634, 0.3418, 0.0439, 3.482, -0.2154, 0.8987),
    (0.2324, 0.8699, -1.0748, 0.0939, 5.8144, -1.0105, -0.3373, -0.4943, -1.3816, -0.3311, -0.1024, -0.1255, -2.1044),
    (-0.1833, 3.6492, -0.3329, 0.2016, 1.8826, -2.9835, 0.1034, -0.9761, -1.2416, 0.1685, 0.2878, -0.0692, -1.5286),
    (0.116, -5.4786, 5.1211, 0.036, 2.116, -0.3741, -0.7172, -0.3618, 0.753, -0.0102, 2.2821, 0.1066, -4.9185),
    (0.1356, -0.0985, -1.7441, -0.0213, -5.3615, -1.5143, -0.8085, 2.107, -0.2151, 0.0452, -5.749, -0.0232, 6.9693),
)
"""A row a unit: the weights of the statistics, and the bias."""
OUTPUT = (-1.9631, 2.6164, -2.5454, 2.0354, 2.6135, 2.4479, 2.4672, -1.9654, -0.7457)
"""The weights of the units, and the bias."""
SHARPNESS = 2.0
CAUTION, CAUTION_S = 6.0, 1.5
"""Score in favour of speech at first, and the time in which it falls to 1/e."""
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
        return SpeechDetector(frame_rate, np.zeros(BANDS), 0.0, 0.0, np.zeros(2 * BANDS + SUMS), past, 0.0)

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
        lags = [round(seconds * self.frame_rate) for seconds in (*LAGS_S, CHANGE_S)]
        *lagged, before = [known[start - lag : start - lag + len(total)] for lag in lags]
        low, middle, high = (bands[:, first:last].mean(1) for first, last in (LOW, MIDDLE, HIGH))
        quiet = [(total < limit).astype(np.float64) for limit in LOW_DB]
        products = [total * total, *(total * other for other in lagged), low * high, low, high, low * low, high * high]
        change, balance = np.abs(total - before), (middle - low) * (1 - quiet[0])
        products += [change, change * change, balance, balance * balance]
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
            hidden = np.tanh(np.array(HIDDEN) @ (*self.statistics(), 1.0))
            evidence = float(np.dot(OUTPUT, (*hidden, 1.0)))
        heard = min(self.seconds / MEMORY_S, 1.0)
        caution = CAUTION * math.exp(-self.seconds / CAUTION_S)
        score = min(max(SHARPNESS * evidence * heard, -6.0), 6.0) + caution
        none, full = SURELY
        return min(max((1 / (1 + math.exp(-score)) - none) / (full - none), 0.0), 1.0)

    def statistics(self) -> tuple[float, ...]:
        """Return what the weights are for: spreads and times in dB and shares, correlations, and how changes spread."""
        mean, square, rest = np.split(self.sums / self.weight, [BANDS, 2 * BANDS])
        spread = np.sqrt(np.maximum(square - np.square(mean), 0))
        quiet, pause, total, total_2, *lagged = rest[: 4 + len(LAGS_S)].tolist()
        low_high, low, high, low_2, high_2, change, change_2, balance, balance_2 = rest[4 + len(LAGS_S) :].tolist()
        variance = max(total_2 - total**2, 0.0)
        both = math.sqrt(max(low_2 - low**2, 0.0) * max(high_2 - high**2, 0.0))
        loud = 1 - quiet + 1e-3
        return (
            float(spread.mean()),
            quiet,
            pause,
            math.sqrt(variance),
            *((lag - total**2) / (variance + 1) for lag in lagged),
            (low_high - low * high) / (both + 1),
            float(spread[HIGH[0] :].mean()),
            change / (math.sqrt(change_2) + 0.1),
            math.sqrt(max(balance_2 / loud - (balance / loud) ** 2, 0.0)),
        )
