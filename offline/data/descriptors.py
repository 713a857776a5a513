"""Acoustic descriptors of a sound, frame by frame; latents are named after them.

Loudness in dB, pitch in octaves from 160 Hz, voicing 0 to 1 (both by YIN, de Cheveigné and Kawahara 2002), brightness
(the spectrum's centroid in octaves from 1 kHz), noisiness (its flatness in dB), onset (how much louder bands get, in
dB). A frame's windows lie around the middle of its hop. A value that is not defined is NaN: the pitch of
an unvoiced frame, all but loudness and onset in silence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.corpus import sound
from gramophone.offline.data.recording import Recording
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.stage import Audio

DESCRIPTORS = ("loudness", "pitch", "voicing", "brightness", "noisiness", "onset")
_VERSION = 1
"""Version of the cache; a new one computes everything again."""
_SILENT_DB = -60.0
_POWER_FLOOR = 1e-8
_LOWEST_HZ, _HIGHEST_HZ, _MIDDLE_HZ = 60.0, 500.0, 160.0
_REPEATS, _VOICED = 0.15, 0.65
"""A lag is a period if the sound differs from itself by so little; voicing from which a pitch is believed."""
_BANDS = 24
_AT_ONCE = 4096
"""Frames in memory at a time."""


def describe(samples: Audio, rate: int, hop: int) -> NDArray[np.float32]:
    """Return the descriptors of each hop of a mono sound: `(T,)` -> `(T / hop, 6)`, rounded up."""
    count = -(-len(samples) // hop)
    short, long = _power_of_two(0.03 * rate), _power_of_two(0.06 * rate)
    rows = [
        np.concatenate([_spectral(frames, rate), periodic], axis=1)
        for frames, periodic in zip(
            _framed(samples, short, hop, count),
            (_periodic(frames, rate) for frames in _framed(samples, long, hop, count)),
            strict=True,
        )
    ]
    found = np.concatenate(rows) if rows else np.zeros((0, 3 + _BANDS + 2))
    loudness, brightness, noisiness = found[:, :3].T
    hertz, voicing = found[:, 3 + _BANDS :].T
    pitch = _believed(hertz, loudness > _SILENT_DB, voicing)
    columns = [loudness, pitch, voicing, brightness, noisiness, _onset(found[:, 3 : 3 + _BANDS])]
    described = np.stack(columns, axis=1).astype(np.float32)
    described[np.ix_(loudness <= _SILENT_DB, (2, 3, 4))] = np.nan
    return described


def kept_descriptors(recording: Recording, rate: int, hop: int) -> NDArray[np.float32]:
    """Return a recording's descriptors; they are kept beside its decoded sound."""
    kept = recording.sound.with_suffix(f".descriptors{_VERSION}-{hop}.npy")
    if not kept.is_file():
        found = describe(sound(recording), rate, hop)
        with atomic_write(kept) as part, part.open("wb") as file:
            np.save(file, found)
    described: NDArray[np.float32] = np.load(kept)
    return described


def _framed(samples: Audio, window: int, hop: int, count: int) -> list[NDArray[np.float32]]:
    """Return frames around the middle of each hop, `(frames, window)`, some at a time."""
    before = (window - hop) // 2
    padded = np.pad(samples, (before, count * hop + window - before - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: count * hop : hop]
    return [frames[start : start + _AT_ONCE] for start in range(0, count, _AT_ONCE)]


def _spectral(frames: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return loudness, brightness, noisiness and the bands' levels in dB, `(frames, 3 + bands)`."""
    window = np.hanning(frames.shape[1])
    power = np.abs(np.fft.rfft(frames * window)[:, 1:]) ** 2 / np.sum(window) ** 2
    hertz = np.fft.rfftfreq(frames.shape[1], 1 / rate)[1:]
    loudness = _decibels(2 * power.sum(1) * np.sum(window) ** 2 / np.sum(window**2) / frames.shape[1])
    magnitude = np.sqrt(power) + 1e-9
    brightness = np.log2(magnitude @ hertz / magnitude.sum(1) / 1000)
    floored = power + 1e-12
    noisiness = 10 * (np.log10(floored).mean(1) - np.log10(floored.mean(1)))
    edges = np.geomspace(100, rate / 2, _BANDS + 1)[1:-1]
    levels = _decibels(np.add.reduceat(power, np.r_[0, np.searchsorted(hertz, edges)], axis=1))
    return np.column_stack([loudness, brightness, noisiness, levels])


def _periodic(frames: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the period's pitch in Hz and how periodic each frame is, `(frames, 2)`: YIN by Fourier transforms."""
    longest, shortest = int(rate / _LOWEST_HZ), int(rate / _HIGHEST_HZ)
    length = frames.shape[1] - longest
    size = 2 * frames.shape[1]
    first = np.fft.rfft(frames[:, :length], size)
    product = np.fft.irfft(np.conj(first) * np.fft.rfft(frames, size))[:, : longest + 1]
    sums = np.pad(np.cumsum(np.square(frames, dtype=np.float64), axis=1), ((0, 0), (1, 0)))
    energy = sums[:, length : length + longest + 1] - sums[:, : longest + 1]
    difference = np.maximum(energy[:, :1] + energy - 2 * product, 0)
    lags = np.arange(1, longest + 1)
    mean = np.cumsum(difference[:, 1:], axis=1) / lags
    normal = np.concatenate([np.ones((len(frames), 1)), difference[:, 1:] / np.maximum(mean, 1e-12)], axis=1)
    lag = _dip(normal, shortest)
    place = np.arange(len(frames))
    before, at, after = normal[place, lag - 1], normal[place, lag], normal[place, np.minimum(lag + 1, longest)]
    bend = before - 2 * at + after
    offset = np.where(bend > 1e-12, 0.5 * (before - after) / np.maximum(bend, 1e-12), 0)
    return np.column_stack([rate / (lag + np.clip(offset, -0.5, 0.5)), np.clip(1 - at, 0, 1)])


def _dip(normal: NDArray[np.float64], shortest: int) -> NDArray[np.intp]:
    """Return the first lag at whose dip the sound repeats, else that where it repeats best."""
    inner = normal[:, shortest:-1]
    dips = (inner <= normal[:, shortest - 1 : -2]) & (inner < normal[:, shortest + 1 :])
    good = dips & (inner < _REPEATS)
    best = np.argmin(np.where(dips, inner, inner + 1), axis=1)
    return np.asarray(shortest + np.where(good.any(1), good.argmax(1), best), np.intp)


def _believed(
    hertz: NDArray[np.float64], audible: NDArray[np.bool_], voicing: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return pitch in octaves, NaN without a voice or beside a leap."""
    octaves = np.where(audible & (voicing > _VOICED), np.log2(hertz / _MIDDLE_HZ), np.nan)
    steps = np.abs(np.diff(octaves, prepend=np.nan, append=np.nan))
    leaping = (np.nan_to_num(steps[:-1]) > 0.2) | (np.nan_to_num(steps[1:]) > 0.2)
    believed: NDArray[np.float64] = np.where(leaping, np.nan, octaves)
    return believed


def _onset(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how many dB the bands get louder from the frame before to the frame after, on average."""
    padded = np.pad(levels, ((1, 1), (0, 0)), mode="edge")
    rising: NDArray[np.float64] = np.maximum(padded[2:] - padded[:-2], 0).mean(1)
    return rising


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    decibels: NDArray[np.float64] = 10 * np.log10(power + _POWER_FLOOR)
    return decibels


def _power_of_two(samples: float) -> int:
    return 1 << int(np.ceil(np.log2(samples)))
