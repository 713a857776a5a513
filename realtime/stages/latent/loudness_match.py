"""As loud as what came in, whatever a model makes of it: gains that rise slowly, fall at once, and never step."""

from __future__ import annotations

import math

import numpy as np

from gramophone.realtime.kernels.arrays import Floats

_WINDOW_S = 0.2
_FAINTEST = 1e-7
"""Mean square below which there is nothing to level: -70 dBFS."""
_LEAST, _MOST = 0.1, 40.0
_LOUDER = 2.0
"""Times the power heard up to which a hop may end: a flute hardly whispers, and must not burst out after it."""


class LoudnessMatch:
    """Evens the running mean square of what is said, in hops of `hop` samples, with that of what was heard for it."""

    def __init__(self, hop: int, hop_s: float) -> None:
        self._ramp = (np.arange(1, hop + 1) / hop).astype(np.float32)
        self._share = 1 - math.exp(-hop_s / _WINDOW_S)
        self._heard = self._said = 0.0
        self._gain = 1.0

    def level(self, said: Floats, power: float) -> Floats:
        """Return a hop `(hop,)` as loud as what was heard, whose mean square was `power`."""
        self._heard += self._share * (power - self._heard)
        now = float(said @ said) / len(said)
        self._said += self._share * (now - self._said)
        even = (self._heard + _FAINTEST) / (self._said + _FAINTEST)
        most = (_LOUDER * max(power, self._heard) + _FAINTEST) / (now + _FAINTEST)
        wanted = math.sqrt(min(even, most))
        before, self._gain = self._gain, min(max(wanted, _LEAST), _MOST)
        levelled: Floats = said * (np.float32(before) + np.float32(self._gain - before) * self._ramp)
        return levelled
