"""What a voice hears of a hop, live: its log-mel frame and its loudness, as in `models.nets.voice_features`, by numba.

torch spends more time between its operations than in them, and ONNX has no Fourier transform to offer.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.models.layers.composition import Sequential
from gramophone.models.layers.vocoder_features import CENTRE, SCALE, LogMel
from gramophone.models.nets.voice_features import SILENCE, Loudness, VoiceFeatures
from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.voice_layers import compiled, multiply


class Bands(NamedTuple):
    """What a `LogMel` of windows of `N` samples is made of, and room to work in.

    `order` `(N,)` is that in which the Fourier transform takes its samples, `turns` `(2, N / 2)` are its cosines and
    sines; `weights` `(1, N / 2 + 1, bands)`.
    """

    hop: int
    floor: float
    window: Floats
    order: NDArray[np.int64]
    turns: Floats
    weights: Floats
    spectrum: Floats
    power: Floats
    level: Floats


class LiveVoiceFeatures:
    """Hops `(hop,)` to frames `(bands + FINE * FINE_BANDS,)`.

    Raises:
        StageError: the windows are no powers of two.
    """

    def __init__(self, ear: VoiceFeatures) -> None:
        self._coarse, self._fine = bands_of(ear.coarse), bands_of(ear.fine)
        self._parts = ear.hop // ear.fine.hop
        self._past = zeros(max(len(self._coarse.window), len(self._fine.window) + ear.hop - ear.fine.hop))
        self._channels = self._coarse.weights.shape[2] + self._parts * self._fine.weights.shape[2]

    def hear(self, sound: Floats) -> Floats:
        """Return the next frame."""
        self._past[: -len(sound)] = self._past[len(sound) :]
        self._past[-len(sound) :] = sound
        frame = np.empty(self._channels, np.float32)
        _listen(self._coarse, self._fine, self._parts, self._past, frame)
        return frame


def bands_of(extractor: LogMel) -> Bands:
    """Return what an extractor is made of.

    Raises:
        StageError: its window is no power of two.
    """
    length = extractor.spectra.length
    if length & (length - 1):
        raise StageError(f"a voice that hears windows of {length} samples: expected a power of two")
    order = np.zeros(1, np.int64)
    while len(order) < length:
        order = np.concatenate((2 * order, 2 * order + 1))
    angles = 2 * np.pi * np.arange(length // 2) / length
    weights = packed(extractor.mel.weights.t()[None])
    return Bands(
        hop=extractor.hop,
        floor=extractor.mel.floor,
        window=packed(extractor.spectra.window),
        order=order,
        turns=np.stack([np.cos(angles), -np.sin(angles)]).astype(np.float32),
        weights=weights,
        spectrum=zeros(2, length),
        power=zeros(1, weights.shape[1]),
        level=zeros(1, weights.shape[2]),
    )


@compiled
def _listen(coarse: Bands, fine: Bands, parts: int, past: Floats, frame: Floats) -> None:
    """Write the bands of the window that ends with the past, then the fine ones of each part of the hop."""
    _measure(coarse, past, len(past) - len(coarse.window), frame, 0)
    for part in range(parts):
        start = len(past) - len(fine.window) - (parts - 1 - part) * fine.hop
        _measure(fine, past, start, frame, coarse.level.shape[1] + part * fine.level.shape[1])


@compiled
def _measure(bands: Bands, past: Floats, start: int, frame: Floats, first: int) -> None:
    """Write the log powers of one window, which begins at `start`, from `first` on."""
    _transform(bands, past, start)
    for i in range(bands.power.shape[1]):
        bands.power[0, i] = bands.spectrum[0, i] ** 2 + bands.spectrum[1, i] ** 2
    for band in range(bands.level.shape[1]):
        bands.level[0, band] = np.float32(0)
    multiply(bands.level, 0, bands.power, 0, bands.weights, 0)
    for band in range(bands.level.shape[1]):
        frame[first + band] = (math.log(max(bands.level[0, band], np.float32(bands.floor))) - CENTRE) / SCALE


@compiled
def _transform(bands: Bands, past: Floats, start: int) -> None:
    """Put the spectrum of a window into `bands.spectrum`, real parts and imaginary ones (Cooley and Tukey 1965)."""
    real, imaginary = bands.spectrum[0], bands.spectrum[1]
    length = len(bands.window)
    for i in range(length):
        at = bands.order[i]
        real[i], imaginary[i] = past[start + at] * bands.window[at], np.float32(0)
    half = 1
    while half < length:
        for left in range(0, length, 2 * half):
            for i in range(left, left + half):
                turn = (i - left) * (length // (2 * half))
                cosine, sine = bands.turns[0, turn], bands.turns[1, turn]
                x = cosine * real[i + half] - sine * imaginary[i + half]
                y = cosine * imaginary[i + half] + sine * real[i + half]
                real[i + half], imaginary[i + half] = real[i] - x, imaginary[i] - y
                real[i], imaginary[i] = real[i] + x, imaginary[i] + y
        half *= 2


class LiveLoudness:
    """Hops `(hop,)` to their loudness in nats, as late as `Voice.loudness` has it."""

    def __init__(self, loudness: Sequential) -> None:
        meter = loudness.layers[0]
        assert isinstance(meter, Loudness)
        later = loudness.delay - meter.delay
        self._rising, self._falling = meter.window.numpy().reshape(2, meter.hop)
        self._risen = 0.0
        self._known = deque([SILENCE] * later)

    def hear(self, sound: Floats) -> float:
        """Return the loudness of the frame whose turn it is."""
        squares = np.square(sound)
        power = self._risen + float(self._falling @ squares)
        self._risen = float(self._rising @ squares)
        self._known.append(math.log(max(power, math.exp(2 * SILENCE))) / 2)
        return self._known.popleft()
