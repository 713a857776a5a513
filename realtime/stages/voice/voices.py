"""The voices that a converter can speak as: those the model knows and, last, the target; any mixture of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gramophone.models.units import MIDDLE_HZ, POINTS
from gramophone.realtime.kernels.arrays import Doubles, Floats

if TYPE_CHECKING:
    from gramophone.models.nets.anyone import VoiceMap

_SAME, _OTHER = 0.15, 0.2
"""How far mean envelopes lie apart, in usual spreads, of one person and of two.

After 10 s, twelve people were .08 to .19 from themselves and at least .21 from anybody else.
"""


class MixedVoice(NamedTuple):
    """The envelopes of a mixture: mean `(E,)`, spread `(E,)`, and the map `(K, E)` to deviations from the mean.

    `plain_mean` `(E,)` is the mean before character is exaggerated.
    """

    mean: Floats
    spread: Floats
    map: Floats
    plain_mean: Floats


class VoiceArrays(NamedTuple):
    """A `VoiceMap` as a player needs it; or several, with one axis more, the first."""

    octaves: Floats
    mean: Floats
    spread: Floats
    maps: Floats

    @staticmethod
    def of(voice: VoiceMap) -> VoiceArrays:
        """Return the arrays of a voice."""
        return VoiceArrays(*(part.float().numpy() for part in (voice.octaves, voice.mean, voice.spread, voice.maps)))


class VoiceTable:
    """All voices' maps; the last place is the target's, as the average voice until there is one.

    `known` are the model's voices, and `usual_spread` `(POINTS,)` that of speakers' envelopes.
    """

    def __init__(self, known: VoiceArrays, usual_spread: Floats) -> None:
        self._means, self._spreads, self._maps = known.mean, known.spread, known.maps
        self._average = self._means.mean(0), self._maps.mean(0)
        octaves = known.octaves[:, 0] - math.log2(MIDDLE_HZ)
        self.octaves: Floats = np.append(octaves, np.float32(np.nan))
        spreads = known.octaves[:, 1]
        self.octave_spreads: Floats = np.append(spreads, spreads.mean())
        self._means, self._spreads, self._maps = (
            np.concatenate([rows, rows.mean(0, keepdims=True)]) for rows in (self._means, self._spreads, self._maps)
        )
        self._usual_spread = usual_spread
        self._made: tuple[tuple[float, ...], MixedVoice] | None = None

    def set_target(self, voice: VoiceArrays) -> None:
        """Give the last place to a voice."""
        self._means[-1], self._spreads[-1], self._maps[-1] = voice.mean, voice.spread, voice.maps
        self.octaves[-1] = float(voice.octaves[0]) - math.log2(MIDDLE_HZ)
        self.octave_spreads[-1] = float(voice.octaves[1])
        self._made = None

    def mixed(self, weights: Floats, likeness: float, character: float) -> MixedVoice:
        """Return the mixture by `weights` over the voices, 1 in sum.

        `likeness` goes from the most shrunk maps (0) to the least (1); `character` from the average voice (0) through
        the voice itself (1) on.
        """
        wanted = (*weights.tolist(), likeness, character)
        if self._made is None or self._made[0] != wanted:
            self._made = wanted, self._mix(weights, likeness, character)
        return self._made[1]

    def sameness(self, mean: Doubles, voice: MixedVoice) -> float:
        """Return how surely somebody of this mean envelope `(POINTS,)` is a voice already, 0 to 1."""
        apart = (mean - voice.plain_mean[:POINTS]) / self._usual_spread
        distance = math.sqrt(float(apart @ apart) / POINTS)
        return min(max((_OTHER - distance) / (_OTHER - _SAME), 0.0), 1.0)

    def _mix(self, weights: Floats, likeness: float, character: float) -> MixedVoice:
        places = np.flatnonzero(weights)
        shares = weights[places]
        position = likeness * (self._maps.shape[1] - 1)
        below = min(int(position), self._maps.shape[1] - 2)
        above = np.float32(position - below)
        low, high = (np.tensordot(shares, self._maps[places, level], 1) for level in (below, below + 1))
        mean, matrix = shares @ self._means[places], low + above * (high - low)
        plain = mean
        if character != 1:
            average, maps = self._average
            usual = maps[below] + above * (maps[below + 1] - maps[below])
            mean, matrix = (
                own + np.float32(character - 1) * (own - other) for own, other in ((mean, average), (matrix, usual))
            )
        return MixedVoice(mean, shares @ self._spreads[places], np.ascontiguousarray(matrix), plain)
