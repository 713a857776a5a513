"""How loud a mosaic is: as loud as the content in the mean, and quiet in its pauses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.mosaic.shaping import Amounts
from gramophone.realtime.stages.mosaic.state import QUARTERS, Memory, Shape, fast

_F = np.float32
_TINY = 1e-12
PAUSE_FROM, PAUSE_OVER = 0.1, 1.25
"""Power, of the mean of a second, below which the content pauses, and by which the output may exceed it there."""
_LEAST_GAIN = 1e-8
"""Of the gain after it; from there the gain rises before an attack, even in dB, so late as to leave the pause."""
_MAKEUP = (0.25, 4.0)


@fast
def _power(sound: Audio, first: int, after: int) -> Any:
    """Return the sum of squares of the samples from `first` to before `after`."""
    power = _F(0)
    for channel in range(len(sound)):
        line = sound[channel][first:after]
        for i in range(len(line)):
            power += line[i] * line[i]
    return power


@fast
def level(shape: Shape, memory: Memory, sound: Audio, output: Audio, amounts: Amounts) -> None:
    """Bring `output` `(C, hop)` to the level that the content has had for a second, and to the gain; keep pauses.

    `sound` `(C, 2 * hop)` is the content in line with the output (or an attack would be too loud), and the hop after
    it. Gains move in quarters of a hop: the output is quiet by the time that a pause begins, and back before an attack.
    """
    hop = output.shape[1]
    powers = memory.quarters
    for quarter in range(QUARTERS):
        powers[quarter] = powers[quarter + QUARTERS]
    for quarter in range(2 * QUARTERS):
        first, after = quarter * hop // QUARTERS, (quarter + 1) * hop // QUARTERS
        powers[QUARTERS + quarter] = _power(sound, first, after)
    power_in = _F(0)
    for quarter in range(QUARTERS):
        power_in += powers[QUARTERS + quarter]
    hold = _F(shape.hold_level)
    memory.sums[0] = power_in + memory.sums[0] * hold
    memory.sums[1] = _power(output, 0, hop) + memory.sums[1] * hold
    low, high = _MAKEUP
    factor = math.sqrt((memory.sums[0] + _TINY) / (memory.sums[1] + _TINY))
    usual = _F(amounts.gain * (1.0 + amounts.strength * (min(max(factor, low), high) - 1.0)))
    for quarter in range(QUARTERS):
        first, after = quarter * hop // QUARTERS, (quarter + 1) * hop // QUARTERS
        wanted, now = usual, QUARTERS + quarter
        before, ahead = powers[now + 1], powers[now + 1]
        for other in range(QUARTERS):
            before = max(before, powers[now - other])
            ahead = max(ahead, powers[now + 1 + other])
        nearby = min(before, ahead)
        depth = nearby / (_F(PAUSE_FROM * (1.0 - shape.hold_level) / QUARTERS) * memory.sums[0] + _F(_TINY))
        allowed = _F(PAUSE_OVER) * nearby * max(_F(1), depth * depth)
        found = _power(output, first, after)
        if found * wanted * wanted >= allowed * _F(amounts.gain * amounts.gain):
            limit = _F(amounts.gain * math.sqrt(allowed / (found + _F(_TINY))))
            wanted += (min(wanted, limit) - wanted) * _F(amounts.strength)
        before = max(memory.sums[3], _F(_LEAST_GAIN) * wanted)
        step = (wanted - before) / (after - first)
        rise = (wanted / before) ** (1.0 / (after - first)) if wanted > before else 1.0
        for channel in range(len(output)):
            factor = 1.0 * before
            for i in range(first, after):
                factor *= rise
                output[channel, i] *= factor if rise > 1.0 else before + step * (i - first + 1)
        memory.sums[3] = wanted
