"""Meters: processing times of a stage, levels of a signal and its reduction, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.stage import Audio, as_audio

if TYPE_CHECKING:  # with numba, which processes that only show levels do without
    from gramophone.realtime.kernels.levels import Measure

SILENCE_DB = -120.0
_INAUDIBLE = 1e-9
"""The energy below which a signal counts as silence: less than one sample at -90 dBFS."""
_DEEPEST_DB = -60.0


@dataclass(frozen=True)
class Level:
    """Peak and root mean square in dB relative to full scale, not below -120."""

    peak_db: float = SILENCE_DB
    rms_db: float = SILENCE_DB

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name, to a tenth of a dB."""
        return {key: round(value, 1) for key, value in asdict(self).items()}


class BlockMeter:
    """The levels and the processing times of blocks, in so many `parts`, such as the stages that they pass."""

    def __init__(self, parts: int = 1) -> None:
        from gramophone.realtime.kernels.levels import new_figures

        self._figures, self._parts = new_figures(parts), parts

    def measure(self, part: int = 0, loudest: float = math.inf, line: DelayLine | None = None) -> Measure:
        """Return `kernels.levels.level_meter` for a part; a sound whose highest sample is above `loudest` is refused.

        `loudest` infinite allows anything. What plays calls the function itself, as another call would cost as much.
        """
        from gramophone.realtime.kernels.levels import ANY, LineMemory, bits_of, level_meter

        most = bits_of(loudest) if math.isfinite(loudest) else ANY
        return level_meter(self._figures, part, most, LineMemory(*line.memory) if line else None)

    def read(self, part: int = 0) -> tuple[Level, int]:
        """Return the level of a part's sound since the last reading, and its number of samples, and reset."""
        from gramophone.realtime.kernels.levels import BITS, ENERGY, FIELDS, SAMPLES, amplitude_of

        fields = self._figures[part * FIELDS : (part + 1) * FIELDS]
        bits, energy, samples = fields[[BITS, ENERGY, SAMPLES]].tolist()
        fields[[BITS, ENERGY, SAMPLES]] = 0.0
        return level_of(amplitude_of(int(bits)), energy, int(samples)), int(samples)

    def read_energies(self) -> list[float]:
        """Return the sum of squares of each part's sound since the last reading, and reset."""
        from gramophone.realtime.kernels.levels import ENERGY, FIELDS

        fields = self._figures[ENERGY : self._parts * FIELDS : FIELDS]
        energies = fields.tolist()
        fields[:] = 0.0
        return energies  # type: ignore[no-any-return]

    def spent_ns(self, part: int = 0) -> float:
        """Return the processing time of all blocks since the start."""
        from gramophone.realtime.kernels.levels import FIELDS, NS

        return float(self._figures[part * FIELDS + NS])

    def quantile_ms(self, q: float, part: int = 0) -> float:
        """Return the `q` quantile (0.5: median) of the times of the last 1,024 blocks in ms; 0 before the first."""
        from gramophone.realtime.kernels.levels import BLOCKS, FIELDS, KEPT

        blocks = min(int(self._figures[part * FIELDS + BLOCKS]), KEPT)
        if not blocks:
            return 0.0
        times = np.sort(self._figures[self._parts * FIELDS + part :: self._parts][:blocks])
        place = q * (blocks - 1)  # as np.quantile has it, which takes ten times as long, beside the sound
        low, high = times[[math.floor(place), math.ceil(place)]].tolist()
        return (low + (high - low) * (place % 1)) / 1e6  # type: ignore[no-any-return]


def level_of(peak: float, energy: float, count: int) -> Level:
    """Return the level of `count` samples with this highest magnitude and sum of squares."""
    return Level(_decibels(peak), _decibels(math.sqrt(energy / count if count else 0.0)))


class ReductionMeter:
    """By how much a process turns a signal of so many channels down; its output is `delay` samples late."""

    def __init__(self, channels: int, delay: int = 0) -> None:
        self._line, self._meter = DelayLine(channels, delay), BlockMeter(2)
        self._measures = self._meter.measure(0), self._meter.measure(1)

    def add(self, block: Audio, output: Audio) -> None:
        """Include a block and what became of it, `(channels, frames)` both."""
        for measure, sound in zip(self._measures, (self._line.process(block), output), strict=True):
            if not measure(sound, sound, 0):
                plain = as_audio(sound)
                measure(plain, plain, 0)

    def read(self, passes_db: float = 0.0) -> float:
        """Return the level of the output relative to the input since the last reading, in dB, 0 or less, and reset.

        `passes_db` is the gain of what the process does not turn down. 0 stands for silence too, -60 for all below it.
        """
        before, after = self._meter.read_energies()
        if not math.isfinite(before + after) or before < _INAUDIBLE:
            return 0.0
        gain_db = 10 * math.log10(max(after / before, 1e-30)) - passes_db
        return max(min(gain_db, 0.0), _DEEPEST_DB)


def _decibels(amplitude: float) -> float:
    return max(20 * math.log10(amplitude), SILENCE_DB) if amplitude > 0 else SILENCE_DB
