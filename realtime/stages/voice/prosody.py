"""Prosody that the source does not keep: how far pitch moves about its mean, and half of each frame's level.

Pitch moves as far as the target's does. Envelopes follow content, and where content misses a sound the source's level
and the envelope contradict each other: a burst under a vowel's spectrum. A level that follows the same content agrees
with the envelope, and words are clearer.
"""

from __future__ import annotations

import math

import numpy as np

from gramophone.realtime.kernels.arrays import Floats

_EXPECTED_OCTAVES, _EXPECTED_S = 0.25, 1.0
"""The spread that a speaker is expected to have, and for how long that counts."""
_OUTLIER, _FURTHEST = 0.5, 1.5
"""Octaves from the mean that a frame counts as at most, for the mean and for the spread.

A target's spread is over all voiced frames, octave errors among them, so that the source's is too.
"""
_LEAST_OCTAVES = 0.03
_WIDEST = 2.0
"""The factor, or its inverse, by which movements are widened at most."""
_LEVEL_SHARE = 0.5
_MOST_NATS = 1.0
"""Nats that a frame becomes louder or softer at most."""
_EXPECTED_LEVEL, _EXPECTED_FRAMES, _MEMORY = -1.2, 120.0, 2000.0
"""The mean level that speakers are expected to have, the frames that it counts as, and those that a mean is over."""


class Intonation:
    """Widens or narrows the movements of pitch; a frame every `frame_s` seconds."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._frames, self._mean, self._square = 0.0, 0.0, _EXPECTED_OCTAVES**2

    def move(self, octaves: float, voiced: bool, spread: float, share: float, adaptation_s: float) -> float:
        """Return the pitch in octaves whose movements have a target's `spread` (1 share) or their own (0).

        The mean and spread so far reach back `adaptation_s` seconds of voiced sound.
        """
        if voiced:
            self._update(octaves, adaptation_s)
        own = math.sqrt(max(self._square, _LEAST_OCTAVES**2))
        factor = min(max(max(spread, _LEAST_OCTAVES) / own, 1 / _WIDEST), _WIDEST) ** share
        return self._mean + (octaves - self._mean) * factor if self._frames else octaves

    def _update(self, octaves: float, adaptation_s: float) -> None:
        if not self._frames:
            self._mean = octaves
        self._frames = min(self._frames + 1, max(adaptation_s / self._frame_s, 1.0))
        away = min(max(octaves - self._mean, -_FURTHEST), _FURTHEST)
        self._mean += 2 * min(max(away, -_OUTLIER), _OUTLIER) / (self._frames + 1)
        self._square += (away * away - self._square) / (self._frames + _EXPECTED_S / self._frame_s)


class Dynamics:
    """By how much frames become louder; `level_map` `(K,)` says the level from the map's inputs, in nats about 0."""

    def __init__(self, level_map: Floats) -> None:
        self._map = level_map
        self._mean, self._frames = _EXPECTED_LEVEL, _EXPECTED_FRAMES

    def gain(self, level: float, inputs: Floats, counts: bool) -> float:
        """Return the nats to add to a frame's `level` in nats below the loudest of late; 0 if it does not `count`."""
        if not counts:
            return 0.0
        self._frames = min(self._frames + 1, _MEMORY)
        self._mean += (level - self._mean) / self._frames
        change = _LEVEL_SHARE * (float(np.dot(inputs, self._map)) - (level - self._mean))
        return min(max(change, -_MOST_NATS), _MOST_NATS)
