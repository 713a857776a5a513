"""How far pitch moves about its mean: as far as the target's does, not the source's."""

from __future__ import annotations

import math

_EXPECTED_OCTAVES, _EXPECTED_S = 0.25, 1.0
"""The spread that a speaker is expected to have, and for how long that counts."""
_OUTLIER = 0.5
"""Octaves from the mean that a frame counts as at most: octave errors must not widen the spread."""
_LEAST_OCTAVES = 0.03
_MOST = 2.0
"""The factor, or its inverse, by which movements are widened at most."""


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
        factor = min(max(max(spread, _LEAST_OCTAVES) / own, 1 / _MOST), _MOST) ** share
        return self._mean + (octaves - self._mean) * factor if self._frames else octaves

    def _update(self, octaves: float, adaptation_s: float) -> None:
        if not self._frames:
            self._mean = octaves
        self._frames = min(self._frames + 1, max(adaptation_s / self._frame_s, 1.0))
        away = min(max(octaves - self._mean, -_OUTLIER), _OUTLIER)
        self._mean += 2 * away / (self._frames + 1)
        self._square += (away * away - self._square) / (self._frames + _EXPECTED_S / self._frame_s)
