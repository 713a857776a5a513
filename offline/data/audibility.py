"""Checks that a recording is audible, as matching and offline style transfer require."""

from __future__ import annotations

import numpy as np

from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.stage import Audio

SHORTEST_S = 1.0
_SILENCE = 1e-4
"""Loudest sample, -80 dBFS."""


class NothingToHearError(ValueError):
    """A recording is too short, silent or broken; the message says which and what was found."""


def demand_sound(name: str, audio: Audio, rate: int) -> None:
    """Refuse audio `(channels, frames)` at `rate` Hz, called `name`, in whose mono mix there is nothing to hear.

    Raises:
        NothingToHearError: it is shorter than a second, silent, or holds NaN or infinity.
    """
    seconds = audio.shape[1] / rate
    if seconds < SHORTEST_S:
        raise NothingToHearError(f"{name} is {seconds:.2f} s long: expected {SHORTEST_S:g} s at least")
    if not np.isfinite(audio).all():
        raise NothingToHearError(f"{name} holds samples that are NaN or infinite: export it again")
    peak = float(np.abs(mono(audio)).max())
    if peak < _SILENCE:
        raise NothingToHearError(f"{name} is silent (loudest sample of its mono mix: {peak:.1g}): expected a sound")
