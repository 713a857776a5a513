"""Sounds varied such that what plays in them stays the same: another speed, another equaliser, two at a time.

A tagger that has heard few soundfonts, rooms and pieces learns them by heart; what is random cannot be learnt so.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

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
    decibels = chance.normal(0, _SPREAD_DB, len(_KNOTS_HZ))
    spectrum = fft.rfft(sound)
    curve = np.interp(_octaves(len(spectrum)), np.log2(_KNOTS_HZ), decibels).astype(np.float32)
    spectrum *= np.exp(curve * np.float32(np.log(10) / 20))
    equal: Sound = fft.irfft(spectrum, len(sound))
    return equal


@lru_cache(maxsize=4)
def _octaves(bins: int) -> NDArray[np.float32]:
    """Return the frequencies of a spectrum's bins, in octaves above 1 Hz."""
    found: NDArray[np.float32] = np.log2(np.linspace(0, RATE / 2, bins).clip(1)).astype(np.float32)
    return found


def together(one: Sound, other: Sound, chance: np.random.Generator) -> Sound:
    """Return two sounds of a length at once, about equally loud."""
    ratio = np.sqrt(float(np.mean(one**2)) / max(float(np.mean(other**2)), _LEAST))
    return one + other * np.float32(ratio * 10 ** (chance.uniform(-_APART_DB, _APART_DB) / 20))
