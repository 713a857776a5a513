"""What a worker hears of its chain's knobs and the switches: numbers from the board, texts from the pipe, in step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.live.messages import Text
from gramophone.realtime.live.parameter_memory import Changes, ParameterMemory
from gramophone.realtime.live.places import SWITCHES, slots
from gramophone.realtime.live.shared_state import PANIC


class ParameterReader:
    """The knobs of one chain after another, and the switches, off at first and no panic under way.

    One thread asks for changes; another may `hear` texts.
    """

    def __init__(self, memory: ParameterMemory) -> None:
        self._memory = memory
        self._texts: dict[int, str] = {}
        self._switches = np.zeros(len(SWITCHES))
        self._switches[PANIC] = memory.switch(PANIC)

    @property
    def known(self) -> NDArray[np.float64]:
        """What the board said of the knobs when changes were last asked for; kept as it is."""
        return self._reader.known[: -len(SWITCHES)]

    def lay_out(
        self, parameters: Mapping[str, Parameter], generation: int, known: Sequence[float] | NDArray[np.float64]
    ) -> None:
        """Go over to the knobs of another chain, which was made when the board said `known`."""
        self._places = [*slots(parameters), *((name, float) for name in SWITCHES)]
        self._reader = self._memory.reader(generation, np.concatenate((known, self._switches)))

    def hear(self, text: Text) -> None:
        """Take in a text that the board may speak of."""
        self._texts[text.number] = text.value

    def changes(self) -> list[tuple[str, Value]]:
        """Return address and newest value of every knob, then every switch by name, turned since the last call.

        What was set at once is told at once.
        """
        changes = self._reader.changes(self._are_readable)
        self._switches = self._reader.known[-len(SWITCHES) :]
        self._forget()
        return [(self._places[place][0], self._value(place, value)) for place, value in changes]

    def _value(self, place: int, value: float) -> Value:
        kind = self._places[place][1]
        return self._texts[int(value)] if kind is str else bool(value) if kind is bool else value

    def _are_readable(self, changes: Changes) -> bool:
        """Whether the texts among the changes are here already."""
        return all(int(value) in self._texts for place, value in changes if self._places[place][1] is str)

    def _forget(self) -> None:
        """Drop texts that have been overtaken: older than one that is heard, and not heard themselves."""
        if not self._texts:
            return
        heard = {int(value) for (_, kind), value in zip(self._places, self._reader.known, strict=True) if kind is str}
        newest = max(heard, default=0)
        for number in list(self._texts):
            if number < newest and number not in heard:
                del self._texts[number]
