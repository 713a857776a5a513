"""Sounds varied such that what plays in them stays the same: another speed, another equaliser, two at a time.

A tagger that has heard few soundfonts, rooms and pieces learns them by heart; what is random cannot be learnt so.
"""

from __future__ import annotations

import numpy as np

from gramophone.models.tagger import RATE
from gramophone.offline.judges.hearing import Sound

_SEMITONES = 2.0
"""How much higher and faster, or lower and slower, at most."""
_KNOTS_HZ = np.geomspace(60, RATE / 2, 8)
_SPREAD_DB = 4.0
"""Of the equaliser's gain at each of its knots."""
_APART_DB = 6.0
"""How much louder one of two sounds is at most."""
_LEAST = 1e-9


def drawn_speed(chance: np.random.Generator) -> float:
    """Return how many times as fast a sound is to be played."""
    return float(2 ** (chance.uniform(-_SEMITONES, _SEMITONES) / 12))


def at_length(sound: Sound, frames: int) -> Sound:
    """Return a sound played faster or slower, as a tape would, so that it lasts for `frames`."""
    places = np.linspace(0, len(sound) - 1, frames)
    return np.interp(places, np.arange(len(sound)), sound).astype(np.float32)


def equalised(sound: Sound, chance: np.random.Generator) -> Sound:
    """Return a sound through a smooth equaliser drawn at random."""
    gains = chance.normal(0, _SPREAD_DB, len(_KNOTS_HZ))
    spectrum = np.fft.rfft(sound)
    places = np.log(np.linspace(0, RATE / 2, len(spectrum)).clip(1))
    curve = np.interp(places, np.log(_KNOTS_HZ), gains)
    return np.fft.irfft(spectrum * 10 ** (curve / 20), len(sound)).astype(np.float32)


def together(one: Sound, other: Sound, chance: np.random.Generator) -> Sound:
    """Return two sounds of a length at once, about equally loud."""
    ratio = np.sqrt(float(np.mean(one**2)) / max(float(np.mean(other**2)), _LEAST))
    return one + other * np.float32(ratio * 10 ** (chance.uniform(-_APART_DB, _APART_DB) / 20))
