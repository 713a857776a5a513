"""Preset generations: each preset that is put in place gets a number, and its parameters places in the memory.

Places are in the order of the chain. A text does not fit there: it travels by pipe under a number of its own, and the
memory holds that number.

The worker reads parameters and switches by `ParameterReader`: numbers from shared memory, texts from the pipe, in step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value
from gramophone.presets import Preset
from gramophone.realtime.live.messages import Refused, Text
from gramophone.realtime.live.parameter_memory import Changes, ParameterMemory
from gramophone.realtime.live.shared_state import SWITCH_PLACES
from gramophone.realtime.live.status import REDUCTIONS, Status
from gramophone.realtime.parameter_table import chain_parameters, values_of, with_values
from gramophone.realtime.stage_registry import reduces
from gramophone.realtime.switches import SWITCHES

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


@dataclass(frozen=True)
class KeptGenerations:
    """The generations of a session: the one of `now`, those that are remembered, and the number of the last text."""

    now: PresetGeneration
    by_number: Mapping[int, PresetGeneration]
    last_text: int


def reductions(status: Status, now: PresetGeneration) -> dict[str, float]:
    """Return by how much the stages of `now` turn sounds down, in dB, as meters; 0 while it does not play yet."""
    names = [stage.name for stage in now.preset.stages if reduces(stage.kind)]
    plays = status["reduced_generation"] == now.number
    shown = zip(names, REDUCTIONS, strict=False)
    return {f"reduction.{name}_db": round(status[field], 1) if plays else 0.0 for name, field in shown}


class PresetGenerations:
    """The generations of a session; `now` is the newest that was not refused, None before the first."""

    def __init__(self, memory: ParameterMemory) -> None:
        self.now: PresetGeneration | None = None
        self._memory = memory
        self._numbers = count()
        self._kept: dict[int, PresetGeneration] = {}
        self._last_text = 0

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

    @property
    def kept(self) -> KeptGenerations:
        """What another process needs to go on from here, of a session that has a preset."""
        assert self.now, "a preset plays"
        return KeptGenerations(self.now, dict(self._kept), self._last_text)

    def restore(self, kept: KeptGenerations, preset: Preset | None) -> None:
        """Go on from here; `preset` is that of `now` as its controller had it last, with its name and mappings."""
        now, self._kept, self._last_text = kept.now, dict(kept.by_number), kept.last_text
        self._numbers = count(max(self._kept) + 1)
        if preset and places_of(chain_parameters(preset)) == list(now.places):
            now = replace(now, preset=replace(preset, stages=now.preset.stages))
        self.now = self._kept[now.number] = now

    def number_text(self, address: str, value: str) -> int:
        """Keep a text that a parameter is set to, and return the number that stands for it in the memory."""
        self._last_text += 1
        if self.now:
            self.now.texts[address] = value
        return self._last_text

    def texts(self) -> list[Text]:
        """Return the texts in use, with the numbers that stand for them."""
        if not self.now:
            return []
        values = self._memory.values(self.now.number)
        return [Text(int(values[self.now.index[address]]), text) for address, text in self.now.texts.items()]

    def go_back(self, refused: Refused) -> bool:
        """Take back what plays on where a preset was refused; return False if another one was chosen since."""
        playing = self._kept.get(refused.playing)
        if playing and self.now and self.now.number == refused.generation:
            self.now = playing
            return True
        return False


class ParameterReader:
    """The parameters of one chain after another, and the switches, off at first.

    One thread reads changes; another may `receive` texts.
    """

    def __init__(self, memory: ParameterMemory) -> None:
        self._memory = memory
        self._texts: dict[int, str] = {}
        self._switches = np.array(
            [memory.switch(SWITCH_PLACES[name]) if switch.momentary else 0.0 for name, switch in SWITCHES.items()]
        )

    @property
    def known(self) -> NDArray[np.float64]:
        """The numbers of the parameters, in the order of their places, when changes were read last."""
        return self._reader.known[: -len(SWITCHES)]

    def follow(
        self, parameters: Mapping[str, Parameter], generation: int, known: Sequence[float] | NDArray[np.float64]
    ) -> None:
        """Go over to the parameters of another chain, which was made when the memory held `known`."""
        self._places = [*places_of(parameters), *((name, bool) for name in SWITCHES)]
        self._reader = self._memory.reader(generation, np.concatenate((known, self._switches)))

    def receive(self, text: Text) -> None:
        """Keep a text until the memory holds its number."""
        self._texts[text.number] = text.value

    def changes(self) -> list[tuple[str, Value]]:
        """Return address and newest value of every parameter, then every switch, that has changed since the last call.

        What was set at once is returned at once. A momentary switch that was set is true.
        """
        changes = self._reader.changes(self._are_readable)
        if not changes:
            return []
        self._switches = self._reader.known[-len(SWITCHES) :]
        self._drop_overtaken_texts()
        return [(self._places[place][0], self._value(place, value)) for place, value in changes]

    def _value(self, place: int, value: float) -> Value:
        kind = self._places[place][1]
        return self._texts[int(value)] if kind is str else bool(value) if kind is bool else value

    def _are_readable(self, changes: Changes) -> bool:
        """Whether the texts among the changes are here already."""
        return all(int(value) in self._texts for place, value in changes if self._places[place][1] is str)

    def _drop_overtaken_texts(self) -> None:
        """Drop texts that are older than one in use, and not in use themselves."""
        if not self._texts:
            return
        used = {int(value) for (_, kind), value in zip(self._places, self._reader.known, strict=True) if kind is str}
        newest = max(used, default=0)
        for number in list(self._texts):
            if number < newest and number not in used:
                del self._texts[number]
