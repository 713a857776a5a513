"""Meters: processing times of a stage, levels of a signal and its reduction, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.kernels.levels import amplitude_of, level_meter
from gramophone.realtime.stage import Audio

_KEPT = 1024
SILENCE_DB = -120.0
_INAUDIBLE = 1e-9
"""The energy below which a signal counts as silence: less than one sample at -90 dBFS."""
_DEEPEST_DB = -60.0


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
        level = level_of(amplitude_of(self._bits), self._energy, self._count)
        self._bits, self._energy, self._count = 0, 0.0, 0
        return level


def level_of(peak: float, energy: float, count: int) -> Level:
    """Return the level of `count` samples with this highest magnitude and sum of squares."""
    return Level(_decibels(peak), _decibels(math.sqrt(energy / count if count else 0.0)))


class ReductionMeter:
    """By how much a process turns a signal of so many channels down; its output is `delay` samples late."""

    def __init__(self, channels: int, delay: int = 0) -> None:
        self._line, self._measure = DelayLine(channels, delay), level_meter()
        self._before = self._after = 0.0

    def add(self, block: Audio, output: Audio) -> None:
        """Include a block and what became of it, `(channels, frames)` both."""
        self._before += self._measure(self._line.process(block))[1]
        self._after += self._measure(output)[1]

    def read(self, passes_db: float = 0.0) -> float:
        """Return the level of the output relative to the input since the last reading, in dB, 0 or less, and reset.

        `passes_db` is the gain of what the process does not turn down. 0 stands for silence too, -60 for all below it.
        """
        before, after = self._before, self._after
        self._before = self._after = 0.0
        if not math.isfinite(before + after) or before < _INAUDIBLE:
            return 0.0
        gain_db = 10 * math.log10(max(after / before, 1e-30)) - passes_db
        return max(min(gain_db, 0.0), _DEEPEST_DB)


def _decibels(amplitude: float) -> float:
    return max(20 * math.log10(amplitude), SILENCE_DB) if amplitude > 0 else SILENCE_DB
