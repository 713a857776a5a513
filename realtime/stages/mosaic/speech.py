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
    CAUTION,
    CAUTION_S,
    CHANGE_S,
    FLOOR,
    HIDDEN,
    HIGH,
    LAGS_S,
    LOW,
    LOW_DB,
    MEMORY_S,
    MIDDLE,
    OUTPUT,
    RANGE_HZ,
    SHARPNESS,
    SILENCE,
    SMOOTHING_S,
    SUMS,
    SURELY,
)
from gramophone.realtime.kernels.arrays import Doubles, Floats, packed
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stages.mosaic.state import Whole, filtered

compiled = partial(jit, forceinline=False)
_LAGS = len(LAGS_S)


class SpeechMemory(NamedTuple):
    """Constants and state: filters `(16, F)` with their spans, `powers` `(16,)` of a frame, `smoothed` `(16,)`.

    `level` `(4,)`: the running level, its weight, the frames so far, and the certainty, 0 to 1; `means`, `squares`
    `(16,)` and `sums` `(17,)`; `past` `(L,)`, the levels of the last frames in dB, a ring; `found` `(13,)`, the
    statistics and a one; `hidden` `(8, 13)` and `output` `(9,)`, the network's weights, which are no constants of the
    code, whose cache would keep old ones; `lags` `(5,)` in frames; `hold` and `fade` by frame; `frames` a second.
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
    found: Doubles
    hidden: Doubles
    output: Doubles
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
        np.zeros(SUMS),
        np.full(math.ceil(max(LAGS_S) * frames), 10 * math.log10(FLOOR)),
        np.ones(len(HIDDEN[0])),
        np.array(HIDDEN),
        np.array(OUTPUT),
        np.array([round(seconds * frames) for seconds in (*LAGS_S, CHANGE_S)], np.int64),
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
    low, middle, high = 0.0, 0.0, 0.0
    for band in range(BANDS):
        db = 10 * math.log10(smoothed[band] / usual + FLOOR)
        speech.means[band] = speech.means[band] * fade + db
        speech.squares[band] = speech.squares[band] * fade + db * db
        if LOW[0] <= band < LOW[1]:
            low += db / (LOW[1] - LOW[0])
        elif MIDDLE[0] <= band < MIDDLE[1]:
            middle += db / (MIDDLE[1] - MIDDLE[0])
        elif HIGH[0] <= band:
            high += db / (HIGH[1] - HIGH[0])
    whole = 10 * math.log10(mean / usual + FLOOR)
    _add(speech, whole, low, middle, high)
    level[2] += 1
    level[3] = _certainty(speech)
    return level[3]


@compiled
def _add(speech: SpeechMemory, whole: float, low: float, middle: float, high: float) -> None:
    """Add a frame to the running sums: quiet, pause, level and its products, lows with highs, changes."""
    past, now = speech.past, int(speech.level[2]) % len(speech.past)
    sums, fade = speech.sums, speech.fade
    for i in range(SUMS):
        sums[i] *= fade
    sums[0] += 1.0 if whole < LOW_DB[0] else 0.0
    sums[1] += 1.0 if whole < LOW_DB[1] else 0.0
    sums[2] += whole
    sums[3] += whole * whole
    for i in range(_LAGS):
        sums[4 + i] += whole * past[(now - speech.lags[i]) % len(past)]
    pairs = sums[4 + _LAGS :]
    pairs[0] += low * high
    pairs[1] += low
    pairs[2] += high
    pairs[3] += low * low
    pairs[4] += high * high
    change = abs(whole - past[(now - speech.lags[_LAGS]) % len(past)])
    pairs[5] += change
    pairs[6] += change * change
    if whole >= LOW_DB[0]:
        pairs[7] += middle - low
        pairs[8] += (middle - low) ** 2
    past[now] = whole


@compiled
def _certainty(speech: SpeechMemory) -> Any:
    weight, sums, pairs = speech.level[1], speech.sums, speech.sums[4 + _LAGS :]
    spread, spread_high = 0.0, 0.0
    for band in range(BANDS):
        mean = speech.means[band] / weight
        found = math.sqrt(max(speech.squares[band] / weight - mean * mean, 0.0))
        spread += found / BANDS
        if band >= HIGH[0]:
            spread_high += found / (HIGH[1] - HIGH[0])
    whole, low, high = sums[2] / weight, pairs[1] / weight, pairs[2] / weight
    variance = max(sums[3] / weight - whole * whole, 0.0)
    both = math.sqrt(max(pairs[3] / weight - low * low, 0.0) * max(pairs[4] / weight - high * high, 0.0))
    loud = 1 - sums[0] / weight + 1e-3
    balance = pairs[7] / weight / loud
    statistics = speech.found
    statistics[0] = spread
    statistics[1] = sums[0] / weight
    statistics[2] = sums[1] / weight
    statistics[3] = math.sqrt(variance)
    for i in range(_LAGS):
        statistics[4 + i] = (sums[4 + i] / weight - whole * whole) / (variance + 1)
    statistics[8] = (pairs[0] / weight - low * high) / (both + 1)
    statistics[9] = spread_high
    statistics[10] = pairs[5] / weight / (math.sqrt(pairs[6] / weight) + 0.1)
    statistics[11] = math.sqrt(max(pairs[8] / weight / loud - balance * balance, 0.0))
    evidence = speech.output[-1]
    for unit in range(len(speech.hidden)):
        drive = 0.0
        for i in range(len(statistics)):
            drive += speech.hidden[unit, i] * statistics[i]
        evidence += speech.output[unit] * math.tanh(drive)
    seconds = speech.level[2] / speech.frames
    score = min(max(SHARPNESS * evidence * min(seconds / MEMORY_S, 1.0), -6.0), 6.0) + CAUTION * math.exp(
        -seconds / CAUTION_S
    )
    none, full = SURELY
    return min(max((1 / (1 + math.exp(-score)) - none) / (full - none), 0.0), 1.0)
