"""The leveller of latent models: the output's running power follows the input's, or stays within reach of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit

_WINDOW_S = 0.2
_FAINTEST_POWER = 1e-7
"""Mean square below which there is no loudness to match: -70 dBFS."""
_LOWEST_GAIN, _HIGHEST_GAIN = 0.1, 40.0
_LOUDER = 2.0
"""Largest power of a hop relative to the input: a flute hardly whispers, and must not burst out after a whisper."""


class LoudnessMatch:
    """Matches the running power of the output to the input's: gains rise slowly, fall at once and never step.

    `hop` in samples, `hop_s` in seconds. The output may be `rise` times as powerful as the input; `gains` are the
    lowest and the highest. With (0, 1) nothing is amplified, and only what is louder than that is lowered.
    """

    def __init__(
        self, hop: int, hop_s: float, rise: float = 1.0, gains: tuple[float, float] = (_LOWEST_GAIN, _HIGHEST_GAIN)
    ) -> None:
        self._rise = rise
        share = 1 - math.exp(-hop_s / _WINDOW_S)
        self._match = bind(_match, (np.array([0.0, 0.0, 1.0]), share, *gains), np.zeros(hop, np.float32), 0.0)

    def process(self, output: Floats, power: float) -> Floats:
        """Return a hop of output, `(hop,)`, as loud as the input, whose mean square in this hop was `power`.

        It is changed in place.
        """
        self._match(output, power * self._rise)
        return output


def power_meter() -> Callable[[Floats], float]:
    """Return a function of sound, `(T,)`, that returns its mean square."""
    return bind(_mean_square, (), np.zeros(0, np.float32))


_compiled = partial(jit, forceinline=False, reassociate=True)


@_compiled
def _mean_square(_bound: Any, sound: Floats) -> float:
    energy = np.float32(0)
    for i in range(len(sound)):
        energy += sound[i] * sound[i]
    return float(energy) / len(sound)


@_compiled
def _match(bound: Any, output: Floats, power: float) -> None:
    """Match the hop; bound to running powers of input and output and the gain `(3,)`, a share, and limits of gains."""
    state, share, lowest, highest = contents(bound)
    now = _mean_square(bound, output)
    state[0] += share * (power - state[0])
    state[1] += share * (now - state[1])
    ratio = (state[0] + _FAINTEST_POWER) / (state[1] + _FAINTEST_POWER)
    most = (_LOUDER * max(power, state[0]) + _FAINTEST_POWER) / (now + _FAINTEST_POWER)
    before, gain = np.float32(state[2]), min(max(math.sqrt(min(ratio, most)), lowest), highest)
    rise = np.float32(gain - state[2])
    for i in range(len(output)):
        output[i] *= before + rise * (np.float32(i + 1) / np.float32(len(output)))
    state[2] = gain
