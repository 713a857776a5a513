"""Pitch of a whole recording, offline: pYIN (Mauch and Dixon 2014), as librosa has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0


def pitch(sound: NDArray[np.float32], rate: int, hop: int = 0) -> NDArray[np.float32]:
    """Return the pitch in Hz of each frame, 0 where there is none: `(samples,)` -> `(frames,)`; `hop` 0 is 20 ms."""
    import librosa

    window = 1 << int(np.ceil(np.log2(3 * rate / _LOWEST_HZ)))
    hop = hop or round(rate * 0.02)
    found, _, _ = librosa.pyin(sound, fmin=_LOWEST_HZ, fmax=_HIGHEST_HZ, sr=rate, frame_length=window, hop_length=hop)
    return np.asarray(np.nan_to_num(found), np.float32)
