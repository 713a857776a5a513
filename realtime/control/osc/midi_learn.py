"""MIDI over OSC: learning and forgetting the control of a parameter, and the tempo."""

from __future__ import annotations

from collections.abc import Callable

from gramophone.models.parameters import ParameterError
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.midi.tempo import LAST_BPM
from gramophone.realtime.control.osc.method import Answer, OscMethod, Ranges
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message

Learned = Callable[[str, str], None]
"""Called with a parameter's address and its control now, in words; empty where there is none."""


class LearnMethod(OscMethod):
    """Map the control that is moved next to a parameter; an empty text stops learning."""

    types = "s"

    def __init__(self, path: str, controller_map: ControllerMap, learned: Learned) -> None:
        super().__init__(path, path, "map the control moved next to this knob (stage.parameter, bypass, mute, panic)")
        self._controller_map, self._learned = controller_map, learned

    def check(self, message: Message) -> str:
        """Return the parameter's address."""
        address = arguments.text(message)
        try:
            if address:
                self._controller_map.check_learnable(address)
        except ParameterError as error:
            raise RefusedError("refused value", f"{message.address}: {str(error)[:200]}") from None
        return address

    def write(self, checked: str) -> None:
        """Start or stop learning."""
        if checked:
            self._controller_map.learn(checked, lambda mapping: self._learned(mapping.knob, mapping.words))
        else:
            self._controller_map.stop_learning()

    def read(self) -> Answer:
        """Return the address of the parameter that waits for a control; an empty text if none does."""
        return (self._controller_map.learning,)


class UnlearnMethod(OscMethod):
    """Remove every mapping to a parameter."""

    types = "s"
    readable = False

    def __init__(self, path: str, controller_map: ControllerMap, learned: Learned) -> None:
        super().__init__(path, path, "take every control off this knob (stage.parameter, bypass, mute, panic)")
        self._controller_map, self._learned = controller_map, learned

    def check(self, message: Message) -> str:
        """Return the parameter's address."""
        address = arguments.text(message)
        if address not in self._controller_map.controls:
            raise RefusedError("refused value", f"{message.address}: no control is mapped to {address[:80]!r}")
        return address

    def write(self, checked: str) -> None:
        """Remove them."""
        if self._controller_map.unlearn(checked):
            self._learned(checked, "")


class TempoMethod(OscMethod):
    """The tempo that synced parameters follow."""

    unit = "bpm"

    def __init__(self, path: str, controller_map: ControllerMap) -> None:
        super().__init__(path, path, "quarter notes a minute, for knobs that follow the tempo; MIDI clock overrides it")
        self._controller_map = controller_map

    @property
    def ranges(self) -> Ranges:
        """The slowest and the fastest tempo."""
        return ({"MIN": 1.0, "MAX": LAST_BPM},)

    def check(self, message: Message) -> float:
        """Return the tempo."""
        bpm = arguments.number(message)
        if not 1 <= bpm <= LAST_BPM:
            raise RefusedError("refused value", f"{message.address}: {bpm:g}: expected a number from 1 to {LAST_BPM:g}")
        return bpm

    def write(self, checked: float) -> None:
        """Set it."""
        self._controller_map.set_tempo(checked)

    def read(self) -> Answer:
        """Return the tempo, if one is known."""
        return () if self._controller_map.bpm is None else (self._controller_map.bpm,)
