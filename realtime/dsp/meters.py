"""Meters: block times of a stage and levels of a signal, kept as plain numbers for whoever shows them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from gramophone.realtime.stage import Audio

_KEPT = 1024
_SILENCE_DB = -120.0


class Timings:
    """The times in ns of the last 1,024 blocks."""

    def __init__(self) -> None:
        self._ns = [0] * _KEPT  # a list: on the path of the sound, an array's call costs more than the sum of this
        self._count = 0

    def add(self, ns: int) -> None:
        """Keep one block's time."""
        self._ns[self._count % _KEPT] = ns
        self._count += 1

    def quantile_ms(self, q: float) -> float:
        """Return the `q` quantile (0.5: median) in ms; 0 before the first block."""
        kept = self._ns[: min(self._count, _KEPT)]
        return float(np.quantile(kept, q)) / 1e6 if kept else 0.0


@dataclass(frozen=True)
class Level:
    """Peak and root mean square in dB relative to full scale, not below -120."""

    peak_db: float = _SILENCE_DB
    rms_db: float = _SILENCE_DB

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name, to a tenth of a dB."""
        return {key: round(value, 1) for key, value in asdict(self).items()}


class Meter:
    """The level of all that came since the last reading."""

    def __init__(self) -> None:
        self._peak = self._energy = 0.0
        self._count = 0

    def add(self, block: Audio) -> bool:
        """Take in a block, `(channels, frames)`; return whether it may hold what is not finite, and then leave it."""
        if block.size:
            flat = block.ravel()
            energy = float(np.dot(flat, flat))
            if not math.isfinite(energy):
                return True
            # argmax and argmin go straight to C; max and min take a way through Python that costs more than they do.
            self._peak = max(self._peak, float(flat[flat.argmax()]), -float(flat[flat.argmin()]))
            self._energy += energy
            self._count += flat.size
        return False

    def read(self) -> Level:
        """Return the level since the last reading and start anew."""
        mean = self._energy / self._count if self._count else 0.0
        level = Level(_decibels(self._peak), _decibels(math.sqrt(mean)))
        self._peak = self._energy = 0.0
        self._count = 0
        return level


def _decibels(amplitude: float) -> float:
    return max(20 * math.log10(amplitude), _SILENCE_DB) if amplitude > 0 else _SILENCE_DB
