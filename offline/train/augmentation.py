"""Sounds varied such that what plays in them stays the same: another speed, another equaliser, two at a time.

A tagger trained on few soundfonts, rooms and pieces overfits to them; random variation prevents that. The
same can be done to a sound's log-mel levels, in a twentieth of the time; there, key and tempo change on their own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

from gramophone.models.layers.envelope import between
from gramophone.models.layers.mel import hz_to_mel, mel_edges
from gramophone.models.nets.tagger import LOWEST_HZ, RATE
from gramophone.offline.data.mono_audio import Sound

_SEMITONES = 2.0
"""How much higher and faster, or lower and slower, at most."""
FASTEST = 2 ** (_SEMITONES / 12)
_KNOTS_HZ = np.geomspace(60, RATE / 2, 8)
_SPREAD_DB = 4.0
"""Of the equaliser's gain at each of its knots."""
_FINE_KNOTS_HZ, _FINE_SPREAD_DB = np.geomspace(60, RATE / 2, 24), 2.5
"""The same of the finer equaliser of levels: one recording of an instrument differs from the next by as much."""
_CONTRAST = 0.2
"""Logarithm of how much more or less of a decibel there is in levels, at most."""
_APART_DB = 6.0
"""How much louder one of two sounds is at most."""
_LEAST = 1e-9
_NATS_PER_DB = np.log(10) / 10
"""Of power."""


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


def spaced(levels: Sound, start: float, speed: float, frames: int) -> Sound:
    """Return `frames` of levels `(bands, n)` from `start` on, as often as one passes at a speed."""
    return _read(levels.T, start + speed * np.arange(frames)).T


def transposed(levels: Sound, ratio: float) -> Sound:
    """Return levels `(bands, n)` of a sound so many times as high."""
    hz = _centres_hz(len(levels))
    lowest, highest = hz_to_mel(torch.from_numpy(hz[[0, -1]])).tolist()
    places = (hz_to_mel(torch.from_numpy(hz / ratio)).numpy() - lowest) * (len(hz) - 1) / (highest - lowest)
    return _read(levels, places)


def coloured(levels: Sound, chance: np.random.Generator) -> Sound:
    """Return levels `(bands, n)` through an equaliser drawn at random: a smooth curve, and a finer one."""
    octaves, curve = np.log2(_centres_hz(len(levels))), np.zeros(len(levels))
    for knots_hz, spread in ((_KNOTS_HZ, _SPREAD_DB), (_FINE_KNOTS_HZ, _FINE_SPREAD_DB)):
        curve += np.interp(octaves, np.log2(knots_hz), chance.normal(0, spread, len(knots_hz)))
    return levels + np.float32(_NATS_PER_DB) * curve.astype(np.float32)[:, None]


def contrasted(levels: Sound, chance: np.random.Generator) -> Sound:
    """Return levels as of a sound with more or less dynamics: further from the loudest, or nearer to it."""
    loudest, factor = levels.max(), np.float32(np.exp(chance.uniform(-_CONTRAST, _CONTRAST)))
    return np.asarray(loudest + factor * (levels - loudest))


def both(one: Sound, other: Sound, chance: np.random.Generator) -> Sound:
    """Return the levels of two sounds at once, about equally loud, by theirs."""
    ratio = np.log(np.exp(one).mean() / np.exp(other).mean()) + chance.uniform(-_APART_DB, _APART_DB) * _NATS_PER_DB
    return np.asarray(np.logaddexp(one, other + np.float32(ratio)))


def _read(rows: Sound, places: NDArray[np.floating[Any]]) -> Sound:
    """Return what is at places between rows; the first and the last reach on."""
    columns = torch.from_numpy(places.astype(np.float32))[None, :, None].expand(-1, -1, rows.shape[1])
    read: Sound = between(torch.from_numpy(rows)[None], columns)[0].numpy()
    return read


@lru_cache(maxsize=4)
def _centres_hz(bands: int) -> NDArray[np.float64]:
    """Return the middles of a tagger's mel bands."""
    found: NDArray[np.float64] = mel_edges(bands, LOWEST_HZ, RATE / 2).numpy()[1:-1]
    return found
