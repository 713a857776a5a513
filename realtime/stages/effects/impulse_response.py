"""Impulse responses from files, for the convolution effect."""

from __future__ import annotations

import numpy as np

from gramophone.realtime.stage import Audio, StageError

LONGEST_S = 5.0
"""Longer ones would take more than a fifth of the time there is (256 frames at 48 kHz, one core)."""


def read_impulse(file: str, rate: int) -> Audio:
    """Return an impulse response `(1 or 2, frames)` at `rate` Hz; no file name stands for a single impulse.

    Raises:
        StageError: the file cannot be read as audio, is silent, not finite or longer than `LONGEST_S`.
    """
    if not file:
        return np.ones((1, 1), np.float32)
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(file) as sound:
            own_rate, seconds = sound.samplerate, sound.frames / sound.samplerate
            samples = sound.read(frames=int(LONGEST_S * own_rate), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise StageError(f"impulse {file}: cannot be read as audio ({error})") from None
    if seconds > LONGEST_S:
        raise StageError(f"impulse {file}: {seconds:.1f} s long, expected at most {LONGEST_S:g} s")
    if not np.isfinite(samples).all() or not samples.any():
        raise StageError(f"impulse {file}: expected finite samples that are not all zero")
    at_rate = soxr.resample(samples[:, :2], own_rate, rate)
    return np.ascontiguousarray(at_rate.T, dtype=np.float32)
