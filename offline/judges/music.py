"""How well tune and rhythm are preserved: correlations of the output with the content, aligned to the sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import Sound, audible, frame_levels, resampled

_RATE = 22_050
_HOP = 512
_FRAME = 2048


def chroma_correlation(content: Sound, output: Sound, rate: int, *, constant_q: bool = False) -> float:
    """Return how alike the twelve pitch classes are: their correlation in a frame, averaged over audible frames.

    Chroma by librosa's defaults at 22.05 kHz, from the short-time spectrum or (`constant_q`) a constant-Q transform,
    in concert pitch. Frames more than 40 dB below the content's loudest do not count.
    """
    content, output = (resampled(sound, rate, _RATE) for sound in (content, output))
    a, b = (_chroma(sound, constant_q) for sound in (content, output))
    level = frame_levels(np.pad(content, _FRAME // 2), _FRAME, _HOP)
    frames = min(a.shape[1], b.shape[1], len(level))
    counted = audible(level[:frames])
    a, b = (x[:, :frames][:, counted] - x[:, :frames][:, counted].mean(axis=0) for x in (a, b))
    energy = np.sqrt(np.sum(a**2, axis=0) * np.sum(b**2, axis=0))
    return float(np.mean(np.sum(a * b, axis=0) / np.maximum(energy, 1e-9)))


def onset_correlation(content: Sound, output: Sound, rate: int) -> float:
    """Return the correlation of the two onset strength envelopes (Boeck & Widmer 2013 as in librosa); 0 for silence."""
    import librosa

    envelopes = [
        librosa.onset.onset_strength(y=resampled(sound, rate, _RATE), sr=_RATE, hop_length=_HOP)
        for sound in (content, output)
    ]
    frames = min(map(len, envelopes))
    a, b = (envelope[:frames] - envelope[:frames].mean() for envelope in envelopes)
    return float(np.sum(a * b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))


def _chroma(sound: Sound, constant_q: bool) -> NDArray[np.float64]:
    import librosa

    measure = librosa.feature.chroma_cqt if constant_q else librosa.feature.chroma_stft
    return np.asarray(measure(y=sound, sr=_RATE, hop_length=_HOP, tuning=0.0), np.float64)
