"""The leveller of latent models: the output's running power follows the input's, or stays within reach of it."""

from __future__ import annotations

import math

import numpy as np

from gramophone.realtime.kernels.arrays import Floats

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
        self._ramp = (np.arange(1, hop + 1) / hop).astype(np.float32)
        self._share = 1 - math.exp(-hop_s / _WINDOW_S)
        self._rise, self._gains = rise, gains
        self._input_power = self._output_power = 0.0
        self._gain = 1.0

    def process(self, output: Floats, power: float) -> Floats:
        """Return a hop of output, `(hop,)`, as loud as the input, whose mean square in this hop was `power`."""
        power *= self._rise
        self._input_power += self._share * (power - self._input_power)
        now = float(output @ output) / len(output)
        self._output_power += self._share * (now - self._output_power)
        ratio = (self._input_power + _FAINTEST_POWER) / (self._output_power + _FAINTEST_POWER)
        most = (_LOUDER * max(power, self._input_power) + _FAINTEST_POWER) / (now + _FAINTEST_POWER)
        wanted = math.sqrt(min(ratio, most))
        before, self._gain = self._gain, min(max(wanted, self._gains[0]), self._gains[1])
        matched: Floats = output * (np.float32(before) + np.float32(self._gain - before) * self._ramp)
        return matched
