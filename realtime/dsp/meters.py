"""Meters: processing times of a stage and levels of a signal, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from gramophone.realtime.kernels.levels import amplitude_of

_KEPT = 1024
SILENCE_DB = -120.0


class Timings:
    """The processing times of the last 1,024 blocks."""

    def __init__(self) -> None:
        self._ns = [0] * _KEPT  # a list: one call of an array's method costs more than all of `add`
        self._count = 0

    def add(self, ns: int) -> None:
        """Record one block's time in ns."""
        self._ns[self._count % _KEPT] = ns
        self._count += 1

    def quantile_ms(self, q: float) -> float:
        """Return the `q` quantile (0.5: median) in ms; 0 before the first block."""
        kept = self._ns[: min(self._count, _KEPT)]
        return float(np.quantile(kept, q)) / 1e6 if kept else 0.0


@dataclass(frozen=True)
class Level:
    """Peak and root mean square in dB relative to full scale, not below -120."""

    peak_db: float = SILENCE_DB
    rms_db: float = SILENCE_DB

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name, to a tenth of a dB."""
        return {key: round(value, 1) for key, value in asdict(self).items()}


class Meter:
    """The level of a signal since the last reading."""

    def __init__(self) -> None:
        self._bits, self._energy, self._count = 0, 0.0, 0

    def add(self, bits: int, energy: float, count: int) -> None:
        """Include `count` samples, all finite; `kernels.levels` gives the highest one's bits and the energy."""
        if bits > self._bits:
            self._bits = bits
        self._energy += energy
        self._count += count

    def read(self) -> Level:
        """Return the level since the last reading, and reset."""
        mean = self._energy / self._count if self._count else 0.0
        level = Level(_decibels(amplitude_of(self._bits)), _decibels(math.sqrt(mean)))
        self._bits, self._energy, self._count = 0, 0.0, 0
        return level


def _decibels(amplitude: float) -> float:
    return max(20 * math.log10(amplitude), SILENCE_DB) if amplitude > 0 else SILENCE_DB
