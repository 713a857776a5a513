"""Detects pieces of the style recording copied into the output.

What a filter that varies slowly over time and frequency can make of the content is taken away from the output; every
half second of what is left is then looked for everywhere in the style recording, by normalised cross-correlation. All
is whitened first, or two tones of one pitch would pass for copies. Chance is the same search in the style recording
played backwards, which has the same spectrum and level but nothing to copy.

On the dev pairs, filters stay below 0.012; the style mixed in 24 dB under the content gives 0.034 to 0.93, and random
grains of it of 60 ms, 6 dB under, 0.031 to 0.18.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import RATE, Sound, heard

_WINDOW, _HOP = 512, 128
_WINDOW_S = 0.5
_FILTER = (5, 9)
_WHITENING = (11, 25)
"""Bins by frames (31 Hz, 8 ms) over which a filter is constant, and over which power is evened out."""

_FLOOR = 1e-4
_QUIET = 0.1


def pasted(content: Sound, style: Sound, output: Sound, rate: int) -> float:
    """Return the largest share of the output's amplitude that is a copy of a piece of the style, beyond chance.

    0: nothing is pasted; 1: some half second of the output is the style recording itself.
    """
    content, style, output = (heard(sound, rate) for sound in (content, style, output))
    frames = min(len(content), len(output))
    whole, rest = _spectrum(output[:frames]), _unexplained(content[:frames], output[:frames])
    scale = _loudness(whole)
    size = int(_WINDOW_S * RATE)
    # Both in the output's own whitening, so that a faint rest stays faint.
    pieces, of = (_windows(_sound(spectrum / scale), size) for spectrum in (rest, whole))
    level = np.linalg.norm(of, axis=1, keepdims=True)
    pieces = pieces / np.maximum(level, max(_QUIET * float(level.max(initial=0.0)), 1e-9))
    spectrum = _spectrum(style)
    white = _sound(spectrum / _loudness(spectrum))
    return _best_match(pieces, white) - _best_match(pieces, white[::-1])


def _unexplained(content: Sound, output: Sound) -> NDArray[np.complex128]:
    """Return the spectrum of what no slowly varying filter makes of the content: least squares around every bin."""
    x, y = _spectrum(content), _spectrum(output)
    power = _around(np.abs(x) ** 2, _FILTER)
    cross = y * x.conj()
    response = (_around(cross.real, _FILTER) + 1j * _around(cross.imag, _FILTER)) / (power + 1e-8 * power.max() + 1e-20)
    return np.asarray(y - response * x)


def _best_match(pieces: NDArray[np.float64], sound: NDArray[np.float64]) -> float:
    """Return the largest correlation of a row of `pieces` with any piece of `sound` scaled to norm 1."""
    import scipy.fft

    length = pieces.shape[1]
    if len(sound) < length:
        return 0.0
    size = scipy.fft.next_fast_len(len(sound) + length)
    there = scipy.fft.rfft(sound, size)
    energy = np.cumsum(np.pad(sound**2, (1, 0)))
    level = np.sqrt(np.maximum(energy[length:] - energy[:-length], 0))
    level = np.maximum(level, max(_QUIET * float(level.max()), 1e-9))
    best = 0.0
    for piece in pieces:
        match = scipy.fft.irfft(there * scipy.fft.rfft(piece, size).conj(), size)[: len(level)]
        best = max(best, float(np.abs(match / level).max()))
    return best


def _loudness(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    level = np.sqrt(_around(np.abs(spectrum) ** 2, _WHITENING))
    return np.asarray(level + _FLOOR * level.max() + 1e-9)


def _around(values: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return moving means; not below zero where no value is (running sums leave rounding errors)."""
    import scipy.ndimage

    means = np.asarray(scipy.ndimage.uniform_filter(values, size), np.float64)
    return np.maximum(means, 0) if values.min(initial=0.0) >= 0 else means


def _windows(sound: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    padded = np.pad(sound, (0, max(size - len(sound), 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]


def _spectrum(sound: Sound) -> NDArray[np.complex128]:
    import scipy.signal

    return np.asarray(scipy.signal.stft(sound.astype(np.float64), nperseg=_WINDOW, noverlap=_WINDOW - _HOP)[2])


def _sound(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    import scipy.signal

    return np.asarray(scipy.signal.istft(spectrum, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)[1])
