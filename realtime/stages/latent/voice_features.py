"""A voice model's features live: log-mel frames and loudness, as in `models.nets.voice_features`, by numba kernels.

torch spends more time between its operations than in them, and ONNX has no Fourier transform.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from gramophone.models.units import LOG_MEL_CENTRE, LOG_MEL_SCALE, SILENCE
from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.voice_layers import compiled, multiply

if TYPE_CHECKING:
    from gramophone.models.layers.composition import Sequential
    from gramophone.models.layers.vocoder_features import LogMel
    from gramophone.models.nets.voice_features import Loudness, VoiceFeatures


class LogMelPlan(NamedTuple):
    """The constants of a `LogMel` with windows of `N` samples, and work space.

    `order` `(N,)` is the bit-reversed order of the Fourier transform; `twiddles` `(2, N / 2)` are its cosines and
    sines; `weights` `(1, N / 2 + 1, bands)` the mel filters.
    """

    hop: int
    floor: float
    window: Floats
    order: NDArray[np.int64]
    twiddles: Floats
    weights: Floats
    spectrum: Floats
    power: Floats
    level: Floats


class FeaturesPlan(NamedTuple):
    """Both windows' constants, the newest sound `past` `(T,)`, and the last frame `(bands + FINE * FINE_BANDS,)`."""

    coarse: LogMelPlan
    fine: LogMelPlan
    past: Floats
    frame: Floats


def features_of(features: VoiceFeatures) -> FeaturesPlan:
    """Return what `extract` needs, from silence.

    Raises:
        StageError: the windows are not powers of two.
    """
    coarse, fine = plan_of(features.coarse), plan_of(features.fine)
    longest = max(len(coarse.window), len(fine.window) + features.hop - features.fine.hop)
    channels = coarse.weights.shape[2] + features.hop // features.fine.hop * fine.weights.shape[2]
    return FeaturesPlan(coarse, fine, zeros(longest), zeros(channels))


def plan_of(extractor: LogMel) -> LogMelPlan:
    """Return the constants of a log-mel extractor.

    Raises:
        StageError: its window is not a power of two.
    """
    length = extractor.spectra.length
    if length & (length - 1):
        raise StageError(f"windows of {length} samples: expected a power of two")
    order, twiddles = transform_constants(length)
    weights = packed(extractor.mel.weights.t()[None])
    return LogMelPlan(
        hop=extractor.hop,
        floor=extractor.mel.floor,
        window=packed(extractor.spectra.window),
        order=order,
        twiddles=twiddles.astype(np.float32),
        weights=weights,
        spectrum=zeros(2, length),
        power=zeros(1, weights.shape[1]),
        level=zeros(1, weights.shape[2]),
    )


@compiled
def extract(features: FeaturesPlan, sound: Floats) -> None:
    """Write the features of the next hop, `(hop,)`, to `features.frame`: the bands, then the fine ones of each part."""
    coarse, fine, past, frame = features.coarse, features.fine, features.past, features.frame
    advance(past, sound)
    log_powers(coarse, past, len(past) - len(coarse.window), frame, 0)
    parts = len(sound) // fine.hop
    for part in range(parts):
        start = len(past) - len(fine.window) - (parts - 1 - part) * fine.hop
        log_powers(fine, past, start, frame, coarse.level.shape[1] + part * fine.level.shape[1])


@compiled
def advance(past: Floats, sound: Floats) -> None:
    """Move `past` on by a hop, whose sound is its newest."""
    kept = len(past) - len(sound)
    for i in range(kept):
        past[i] = past[i + len(sound)]
    for i in range(len(sound)):
        past[kept + i] = sound[i]


@compiled
def log_powers(bands: LogMelPlan, past: Floats, start: int, frame: Floats, first: int) -> None:
    """Write the log powers of the bands of the window that begins at `start`, from `first` on."""
    _transform(bands, past, start)
    for i in range(bands.power.shape[1]):
        bands.power[0, i] = bands.spectrum[0, i] ** 2 + bands.spectrum[1, i] ** 2
    for band in range(bands.level.shape[1]):
        bands.level[0, band] = np.float32(0)
    multiply(bands.level, 0, bands.power, 0, bands.weights, 0)
    for band in range(bands.level.shape[1]):
        frame[first + band] = (
            math.log(max(bands.level[0, band], np.float32(bands.floor))) - LOG_MEL_CENTRE
        ) / LOG_MEL_SCALE


@compiled
def _transform(bands: LogMelPlan, past: Floats, start: int) -> None:
    """Put the spectrum of a window into `bands.spectrum`, real and imaginary parts."""
    real, imaginary = bands.spectrum[0], bands.spectrum[1]
    length = len(bands.window)
    for i in range(length):
        at = bands.order[i]
        real[i], imaginary[i] = past[start + at] * bands.window[at], np.float32(0)
    transform(bands.spectrum, bands.twiddles)


@compiled
def transform(spectrum: NDArray[Any], twiddles: NDArray[Any]) -> None:
    """Transform real and imaginary parts `(2, N)`, in bit-reversed order, in place (Cooley and Tukey 1965).

    `N` is a power of two; `twiddles` `(2, N / 2)` are the real and imaginary parts of `exp(-2 pi i n / N)`.
    """
    real, imaginary = spectrum[0], spectrum[1]
    length = spectrum.shape[1]
    half = 1
    while half < length:
        for left in range(0, length, 2 * half):
            for i in range(left, left + half):
                twiddle = (i - left) * (length // (2 * half))
                cosine, sine = twiddles[0, twiddle], twiddles[1, twiddle]
                x = cosine * real[i + half] - sine * imaginary[i + half]
                y = cosine * imaginary[i + half] + sine * real[i + half]
                real[i + half], imaginary[i + half] = real[i] - x, imaginary[i] - y
                real[i], imaginary[i] = real[i] + x, imaginary[i] + y
        half *= 2


def transform_constants(length: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the bit-reversed order `(length,)` and the `twiddles` for `transform`; `length` is a power of two."""
    order = np.zeros(1, np.int64)
    while len(order) < length:
        order = np.concatenate((2 * order, 2 * order + 1))
    angles = 2 * np.pi * np.arange(length // 2) / length
    return order, np.stack([np.cos(angles), -np.sin(angles)])


class LoudnessPlan(NamedTuple):
    """Both halves of the window, `(2, hop)`, and by how many hops loudness is delayed further."""

    window: Floats
    delay_hops: int


def loudness_plan_of(loudness: Sequential) -> LoudnessPlan:
    """Return the constants of `Voice.loudness`."""
    meter = cast("Loudness", loudness.layers[0])
    return LoudnessPlan(packed(meter.window.reshape(2, meter.hop)), loudness.delay - meter.delay)


class LiveLoudness:
    """Hops `(hop,)` to their loudness in nats, with the delay of `Voice.loudness`."""

    def __init__(self, plan: LoudnessPlan) -> None:
        parts = plan.window, np.zeros(1), math.exp(2 * SILENCE)
        self._measure = bind(_measure_loudness, parts, plan.window[0])
        self._delayed = deque([SILENCE] * plan.delay_hops)

    def measure(self, sound: Floats) -> float:
        """Return the loudness of the next frame."""
        self._delayed.append(self._measure(sound))
        return self._delayed.popleft()


@partial(jit, forceinline=False, reassociate=True)
def _measure_loudness(bound: Any, sound: Floats) -> float:
    """Return the loudness of a hop and the one before, which rises and then falls in weight, in nats.

    It is bound to the `window` `(2, hop)`, both halves, the power so far of the first, `(1,)`, and that of silence.
    """
    window, before, silence = contents(bound)
    rising = falling = np.float32(0)
    for i in range(len(sound)):
        square = sound[i] * sound[i]
        rising += window[0, i] * square
        falling += window[1, i] * square
    power = before[0] + falling
    before[0] = rising
    return math.log(max(power, silence)) / 2
