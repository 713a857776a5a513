"""Reference clips: any audio file, at the sample rate of the model that analyses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gramophone.realtime.files import SoundFileError, read
from gramophone.realtime.stage import Audio, StageError


def read_clip(clip: str, rate: int) -> Audio:
    """Return the samples of the audio file `clip`, `(channels, frames)` at `rate` Hz; NaN and infinity become silence.

    Raises:
        StageError: the file cannot be read.
    """
    try:
        sound, found = read(Path(clip))
    except SoundFileError as error:
        raise StageError(f"clip: {error}") from None
    sound = np.nan_to_num(sound, nan=0.0, posinf=0.0, neginf=0.0)
    if found == rate:
        return sound
    import soxr

    return np.ascontiguousarray(soxr.resample(sound.T, found, rate).T)
