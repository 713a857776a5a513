"""The worker's reader of parameters and switches: numbers from shared memory, texts from the pipe, in step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.live.messages import Text
from gramophone.realtime.live.parameter_memory import Changes, ParameterMemory
from gramophone.realtime.live.preset_generations import places_of
from gramophone.realtime.live.shared_state import SWITCH_PLACES
from gramophone.realtime.switches import SWITCHES


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
