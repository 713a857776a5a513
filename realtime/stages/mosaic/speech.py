"""Is the content speech? The detector of `models/style/speech_detector.py`, frame by frame and compiled.

Its arithmetic is the same, a frame at a time, in arrays made once; so it may run in every hop of a block.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gramophone.models.style.speech_detector import (
    BANDS,
    BIAS,
    FLOOR,
    LAGS_S,
    LOW_DB,
    MEMORY_S,
    RANGE_HZ,
    SHARPNESS,
    SILENCE,
    SMOOTHING_S,
    SURELY,
    WEIGHTS,
)
from gramophone.realtime.kernels.arrays import Doubles, Floats, packed
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stages.mosaic.state import Whole, filtered

compiled = partial(jit, forceinline=False)
_SUMS = 11
_LOW, _HIGH = (2, 8), (12, BANDS)


class SpeechMemory(NamedTuple):
    """Constants and state: filters `(16, F)` with their spans, `powers` `(16,)` of a frame, `smoothed` `(16,)`.

    `level` `(4,)`: the running level, its weight, the frames so far, and the certainty, 0 to 1; `means`, `squares`
    `(16,)` and `sums` `(11,)`; `past` `(L,)`, the levels of the last frames in dB, a ring; `lags` `(2,)` in frames;
    `hold` and `fade` by frame; `frames` a second.
    """

    filters: Floats
    spans: Whole
    powers: Floats
    smoothed: Doubles
    level: Doubles
    means: Doubles
    squares: Doubles
    sums: Doubles
    past: Doubles
    lags: Whole
    hold: float
    fade: float
    frames: float


def no_speech_yet(rate: int, window: int, hop: int) -> SpeechMemory:
    """Return the detector before any input, for frames of `window` samples every `hop`; it assumes speech at first."""
    from gramophone.models.layers.mel import MelBands

    low, high = RANGE_HZ
    filters = packed(MelBands(rate, window, BANDS, low, min(high, rate / 2)).weights)
    inside = [np.flatnonzero(row) for row in filters]
    spans = np.array([(row[0], row[-1] + 1) for row in inside], np.int64)
    frames = rate / hop
    level = np.zeros(4)
    level[3] = 1
    return SpeechMemory(
        filters,
        spans,
        np.zeros(BANDS, np.float32),
        np.zeros(BANDS),
        level,
        np.zeros(BANDS),
        np.zeros(BANDS),
        np.zeros(_SUMS),
        np.full(math.ceil(max(LAGS_S) * frames), 10 * math.log10(FLOOR)),
        np.array([round(seconds * frames) for seconds in LAGS_S], np.int64),
        math.exp(-1 / (SMOOTHING_S * frames)),
        math.exp(-1 / (MEMORY_S * frames)),
        frames,
    )


@compiled
def listen(speech: SpeechMemory, spectrum: Floats) -> Any:
    """Return how sure it is that the content is speech, 0 to 1, once a frame of power `spectrum` `(F,)` has passed."""
    filtered(speech.filters, speech.spans, spectrum, speech.powers)
    return hear(speech)


@compiled
def hear(speech: SpeechMemory) -> Any:
    """Return the same for the frame whose powers by band are in `powers`."""
    level, fade, smoothed = speech.level, speech.fade, speech.smoothed
    mean = 0.0
    for band in range(BANDS):
        smoothed[band] = speech.powers[band] + (smoothed[band] - speech.powers[band]) * speech.hold
        mean += smoothed[band] / BANDS
    level[0] = level[0] * fade + mean
    level[1] = level[1] * fade + 1
    usual = level[0] / level[1] + SILENCE
    low, high = 0.0, 0.0
    for band in range(BANDS):
        db = 10 * math.log10(smoothed[band] / usual + FLOOR)
        speech.means[band] = speech.means[band] * fade + db
        speech.squares[band] = speech.squares[band] * fade + db * db
        if _LOW[0] <= band < _LOW[1]:
            low += db / (_LOW[1] - _LOW[0])
        elif _HIGH[0] <= band:
            high += db / (_HIGH[1] - _HIGH[0])
    whole = 10 * math.log10(mean / usual + FLOOR)
    _add(speech, whole, low, high)
    level[2] += 1
    level[3] = _certainty(speech)
    return level[3]


@compiled
def _add(speech: SpeechMemory, whole: float, low: float, high: float) -> None:
    """Add a frame to the running sums: quiet, pause, level, its square, its lagged products, and lows with highs."""
    past, now = speech.past, int(speech.level[2]) % len(speech.past)
    sums, fade = speech.sums, speech.fade
    for i in range(_SUMS):
        sums[i] *= fade
    sums[0] += 1.0 if whole < LOW_DB[0] else 0.0
    sums[1] += 1.0 if whole < LOW_DB[1] else 0.0
    sums[2] += whole
    sums[3] += whole * whole
    for i in range(2):
        sums[4 + i] += whole * past[(now - speech.lags[i]) % len(past)]
    sums[6] += low * high
    sums[7] += low
    sums[8] += high
    sums[9] += low * low
    sums[10] += high * high
    past[now] = whole


@compiled
def _certainty(speech: SpeechMemory) -> Any:
    weight, sums = speech.level[1], speech.sums
    spread, spread_high = 0.0, 0.0
    for band in range(BANDS):
        mean = speech.means[band] / weight
        found = math.sqrt(max(speech.squares[band] / weight - mean * mean, 0.0))
        spread += found / BANDS
        if band >= _HIGH[0]:
            spread_high += found / (_HIGH[1] - _HIGH[0])
    whole, low, high = sums[2] / weight, sums[7] / weight, sums[8] / weight
    variance = max(sums[3] / weight - whole * whole, 0.0)
    both = math.sqrt(max(sums[9] / weight - low * low, 0.0) * max(sums[10] / weight - high * high, 0.0))
    evidence = BIAS + WEIGHTS[0] * spread + WEIGHTS[1] * sums[0] / weight + WEIGHTS[2] * sums[1] / weight
    evidence += WEIGHTS[3] * math.sqrt(variance)
    evidence += WEIGHTS[4] * (sums[4] / weight - whole * whole) / (variance + 1)
    evidence += WEIGHTS[5] * (sums[5] / weight - whole * whole) / (variance + 1)
    evidence += WEIGHTS[6] * (sums[6] / weight - low * high) / (both + 1) + WEIGHTS[7] * spread_high
    seconds = speech.level[2] / speech.frames
    score = min(max(SHARPNESS * evidence * min(seconds / MEMORY_S, 1.0), -6.0), 6.0) + 3.0 * math.exp(-seconds)
    none, full = SURELY
    return min(max((1 / (1 + math.exp(-score)) - none) / (full - none), 0.0), 1.0)
