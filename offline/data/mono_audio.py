"""Mono sound at one sample rate and one loudness, as every evaluation measure receives it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
"""Mono samples `(frames,)`."""

RATE = 16_000
"""Hz that the networks were trained at."""

_FRAME = 2048
_LOUDNESS = 0.1
_AUDIBLE = 1e-2


def heard(sound: Sound, rate: int) -> Sound:
    """Return `sound` at 16 kHz and -20 dBFS, so that a gain changes no measure."""
    return levelled(resampled(sound, rate, RATE))


def resampled(sound: Sound, rate: int, target: int) -> Sound:
    """Return `sound` at `target` Hz."""
    import soxr

    if rate == target:
        return sound
    result: Sound = np.asarray(soxr.resample(sound, rate, target), np.float32)
    return result


def levelled(sound: Sound) -> Sound:
    """Return `sound` with its audible frames at -20 dBFS RMS (silence stays silence)."""
    level = frame_levels(sound, _FRAME, _FRAME // 2)
    loudness = float(np.sqrt(np.mean(level[audible(level)] ** 2)))
    return sound * np.float32(_LOUDNESS / loudness) if loudness else sound


def frame_levels(sound: Sound, frame: int, hop: int) -> NDArray[np.float64]:
    """Return the RMS of every frame; one frame of zeros at least."""
    padded = np.pad(sound.astype(np.float64), (0, max(frame - len(sound), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop]
    return np.asarray(np.sqrt(np.mean(frames**2, axis=1)))


def audible(level: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which frames are within 40 dB of the loudest."""
    return np.asarray(level >= _AUDIBLE * level.max())
