"""Preset generations: each preset that is put in place gets a number, and its parameters places in the memory.

Places are in the order of the chain. A text does not fit there: it travels by pipe under a number of its own, and the
memory holds that number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from gramophone.models.parameters import Parameter
from gramophone.presets import Preset
from gramophone.realtime.live.messages import Refused
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.parameter_table import chain_parameters, values_of, with_values

Place = tuple[str, type]
"""A parameter's address, and the type of its values: float, bool or str."""

AS_IN_PRESET = 0.0
"""The number of a text that has not been set since its preset was put in place."""
_KEPT = 8
"""Generations that are remembered: those whose values are still in the memory."""


def places_of(parameters: Mapping[str, Parameter]) -> list[Place]:
    """Return the parameters of a chain in the order of their places."""
    return [(address, type(parameter.default)) for address, parameter in parameters.items()]


def numbers_of(places: Sequence[Place], preset: Preset) -> list[float]:
    """Return what the memory holds at `places` for the values of a complete preset."""
    values = values_of(preset)
    return [AS_IN_PRESET if kind is str else float(values[address]) for address, kind in places]


@dataclass(frozen=True)
class PresetGeneration:
    """A preset as it was put in place, its number, and the index of each parameter's place by address.

    `texts` are those set since then, by address: what the numbers in the memory mean.
    """

    preset: Preset
    number: int
    places: Sequence[Place]
    index: Mapping[str, int]
    texts: dict[str, str] = field(default_factory=dict)


class PresetGenerations:
    """The generations of a session; `now` is the newest that was not refused, None before the first."""

    def __init__(self, memory: ParameterMemory) -> None:
        self.now: PresetGeneration | None = None
        self._memory = memory
        self._numbers = count()
        self._kept: dict[int, PresetGeneration] = {}

    @property
    def preset(self) -> Preset | None:
        """The preset of `now` with every value as the memory has it."""
        now = self.now
        if not now:
            return None
        values = self._memory.values(now.number).tolist()
        return with_values(
            now.preset,
            {address: kind(value) for (address, kind), value in zip(now.places, values, strict=True) if kind is not str}
            | now.texts,
        )

    def add(self, preset: Preset) -> PresetGeneration:
        """Give a complete preset the next number and its parameters their places, and return it as `now`."""
        number, places = next(self._numbers), places_of(chain_parameters(preset))
        self._memory.add(number, numbers_of(places, preset))
        self.now = PresetGeneration(preset, number, places, {address: k for k, (address, _) in enumerate(places)})
        self._kept[number] = self.now
        self._kept.pop(number - _KEPT, None)
        return self.now

    def go_back(self, refused: Refused) -> bool:
        """Take back what plays on where a preset was refused; return False if another one was chosen since."""
        playing = self._kept.get(refused.playing)
        if playing and self.now and self.now.number == refused.generation:
            self.now = playing
            return True
        return False
