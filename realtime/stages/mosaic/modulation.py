"""How fast and how far levels move: modulation statistics of the content's levels, and their way to the clip's.

Rain, fire or strings are recognised by how much a band's level moves at each rate, more than by its spectrum
(McDermott and Simoncelli, "Sound texture perception via statistics of the auditory periphery", Neuron 2011). Each
band's level in nats is split by rates, an octave wide each, and a rate's part is raised or lowered to the power that
the clip's has.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gramophone.models.units import LEVEL_BANDS, MODULATION_HZ
from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.stages.mosaic.state import fast

_F = np.float32
_RATES = len(MODULATION_HZ)
_TINY = 1e-6
_PRIOR_S = 1.0
"""Seconds for which the content's levels are taken to move as the clip's do."""
_LEAST, _MOST = -0.7, 1.5
"""Nats by which a rate's part is lowered or raised at most."""
_BY_RATE = np.array([1.0, 1.0, 1.0, 0.5, 0.0], _F)
"""How far each rate's part is moved: what is faster than 8 Hz costs attacks, and gains nothing that was found."""


class Modulation(NamedTuple):
    """State: `slow` `(K, J)` the levels without what moves faster than each rate, `powers` `(K, J)` sums of squares.

    `weight` `(1,)` of those sums; `holds` `(K,)` of the low-passes by frame; `prior`, weight of the clip's powers.
    """

    slow: Floats
    powers: Floats
    weight: Floats
    holds: Floats
    prior: float


def no_modulation(frame_s: float) -> Modulation:
    """Return the state before any frame, of which there is one in every `frame_s` seconds."""
    holds = np.array([math.exp(-2 * math.pi * hz * frame_s) for hz in MODULATION_HZ], _F)
    return Modulation(zeros(_RATES, LEVEL_BANDS), zeros(_RATES, LEVEL_BANDS), zeros(1), holds, _PRIOR_S / frame_s)


@fast
def note_frame(modulation: Modulation, hold: float) -> None:
    """Let what is known of the content's powers fade by `hold`, and count a frame."""
    modulation.weight[0] = modulation.weight[0] * _F(hold) + _F(1)
    for rate in range(_RATES):
        for band in range(LEVEL_BANDS):
            modulation.powers[rate, band] *= _F(hold)


@fast
def modulated(
    modulation: Modulation, wanted: Floats, band: int, level: Any, heard: bool, fresh: bool, amount: Any
) -> Any:
    """Return the `level` of a band in nats, moved as far as `amount` to the clip's powers by rate, `wanted` `(J, K)`.

    Unless it is `heard`, in a pause, nothing is learnt from it; a `fresh` one is the first.
    """
    found, above = level, level
    for place in range(_RATES):
        rate = _RATES - 1 - place
        slow = level if fresh else level + (modulation.slow[rate, band] - level) * modulation.holds[rate]
        modulation.slow[rate, band] = slow
        part = above - slow
        above = slow
        if heard:
            modulation.powers[rate, band] += part * part
        target = wanted[band, rate] + _F(_TINY)
        prior = _F(modulation.prior)
        own = (modulation.powers[rate, band] + prior * target) / (modulation.weight[0] + prior) + _F(_TINY)
        way = min(max(_F(0.5) * math.log(target / own), _F(_LEAST)), _F(_MOST))
        found += part * (math.exp(way * amount * _BY_RATE[rate]) - _F(1))
    return found
