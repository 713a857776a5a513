"""Commands over OSC: preset, morph, order, bypass, mute, panic, save; learning and forgetting a MIDI control; tempo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gramophone.models.parameters import ParameterError
from gramophone.presets import Preset, PresetError, name_of
from gramophone.realtime.control.controller import Change, Controller
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.midi.tempo import LAST_BPM
from gramophone.realtime.control.morph import Morpher
from gramophone.realtime.control.osc.library import FIRST_WAY, Library
from gramophone.realtime.control.osc.method import Answer, OscMethod, Ranges
from gramophone.realtime.control.preset_saver import PresetSaver
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message
from gramophone.realtime.switches import Action, Switch

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
        super().__init__(path, path, "quarter notes a minute, for knobs that follow the tempo; its source overrides it")
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


class PresetMethod(OscMethod):
    """Fade over to a preset of the library, by name."""

    types = "s"
    changes_parameters = True
    takes_a_while = True

    def __init__(self, path: str, controller: Controller, library: Library) -> None:
        super().__init__(path, path, "fade over to a preset, by name")
        self._controller, self._library = controller, library

    @property
    def ranges(self) -> Ranges:
        """The names of all presets."""
        return ({"VALS": self._library.presets},)

    def check(self, message: Message) -> Preset:
        """Return the preset that the message names."""
        return self._library.preset(arguments.text(message))

    def write(self, checked: Preset) -> None:
        """Fade over to it."""
        self._controller.change(checked)

    def read(self) -> Answer:
        """Return the name of the preset that plays."""
        return (self._controller.name,)


class MorphMethod(OscMethod):
    """Interpolate between two presets; a position alone uses the two that were named last."""

    types = "ssf"
    changes_parameters = True
    takes_a_while = True

    def __init__(self, path: str, morpher: Morpher, library: Library) -> None:
        super().__init__(path, path, "from one preset (0) to another (1); a position alone moves along the same way")
        self._morpher, self._library = morpher, library

    @property
    def ranges(self) -> Ranges:
        """The names of all presets and snapshots, twice, and the position, 0 to 1."""
        names = [*self._library.presets, *sorted(self._library.snapshots)]
        return ({"VALS": names}, {"VALS": names}, {"MIN": 0.0, "MAX": 1.0})

    def check(self, message: Message) -> tuple[tuple[str, str], float]:
        """Return the two presets' names and the position."""
        if message.types[:2] == "ss":
            first, second = message.arguments[:2]
            names = first, second
        elif len(message.types) == 1 and (self._morpher.names or self._library.snapshots):
            names = self._morpher.names or FIRST_WAY
        else:
            raise arguments.mistyped(message, "two presets and a position; then positions alone")
        for name in names:
            self._library.preset(name)
        where = Message(message.address, message.types[-1:], message.arguments[-1:])
        position = arguments.number(where)
        if len(message.types) not in (1, 3) or not 0 <= position <= 1:
            raise RefusedError(
                "refused value", f"{message.address}: position {position:g}: expected a number from 0 to 1"
            )
        self._morpher.names = names
        return names, position

    def write(self, checked: tuple[tuple[str, str], float]) -> None:
        """Set the interpolated values."""
        names, position = checked
        self._morpher.move(position, names)

    def read(self) -> Answer:
        """Return the two presets and the position that were set last; () before the first."""
        return (*self._morpher.names, self._morpher.position) if self._morpher.names else ()


class OrderMethod(OscMethod):
    """Put the stages into another order and fade over to it."""

    changes_parameters = True
    takes_a_while = True

    def __init__(self, path: str, controller: Controller) -> None:
        super().__init__(path, path, "the stages in the order that the sound takes; send them all in another order")
        self._controller = controller
        self.types = "s" * len(self.read())

    def check(self, message: Message) -> tuple[str, ...]:
        """Return the names in their new order."""
        names = message.arguments
        if sorted(map(str, names)) != sorted(str(name) for name in self.read()) or set(message.types) != {"s"}:
            raise arguments.mistyped(message, f"each of {', '.join(map(str, self.read()))} once")
        return names

    def write(self, checked: tuple[str, ...]) -> None:
        """Fade over to the new order."""
        preset = self._controller.preset
        self._controller.change(replace(preset, stages=tuple(preset.stage(name) for name in checked)))

    def read(self) -> Answer:
        """Return the stages' names in order."""
        return tuple(stage.name for stage in self._controller.preset.stages)


class SwitchMethod(OscMethod):
    """One of `SWITCHES`, on or off; of a momentary one, a button's release (0, false) does nothing."""

    types = "T"
    together = True

    def __init__(self, path: str, switch: Switch | Action, controller: Controller) -> None:
        super().__init__(path, switch.name, switch.description)
        self.tags = (f"key {switch.key}",) if switch.key else ()
        self._controller, self._momentary = controller, switch.momentary
        if switch.momentary:
            self.types, self.readable = "I", False

    def check(self, message: Message) -> Change | None:
        """Return the change to on or off; None where a momentary one is released."""
        pressed = self._momentary and message.types in ("", "I", "N")
        on = pressed or arguments.switch(message)
        return self._controller.check(self.key, on) if on or not self._momentary else None

    def write(self, checked: Change) -> None:
        """Switch it on or off."""
        self._controller.apply((checked,))

    def read(self) -> Answer:
        """Return whether it is on."""
        return (bool(self._controller.get(self.key)),)


class ActionMethod(SwitchMethod):
    """One of `ACTIONS` that is a button or a toggle; after it other addresses may be there."""

    changes_parameters = True
    together = False


class SaveMethod(OscMethod):
    """Save what plays, by a name for the user's own preset folder, never by a path; without a name, under its own.

    A second argument that is false keeps the message from replacing a preset of that name.
    """

    types = "s"
    readable = False
    takes_a_while = True

    def __init__(self, path: str, saver: PresetSaver) -> None:
        super().__init__(path, path, "save what plays, values and mappings and all, as a preset of this name")
        self._saver = saver

    def check(self, message: Message) -> tuple[str, bool]:
        """Return the name, empty for that of the preset that plays, and whether a preset may be replaced."""
        address, types, values = message
        wanted = arguments.text(Message(address, types[:1], values[:1])).strip() if types else ""
        replaces = arguments.switch(Message(address, types[1:], values[1:])) if types[1:] else True
        try:
            if wanted:
                name_of(wanted)
        except PresetError as error:
            raise RefusedError("refused value", f"{message.address}: {error}") from None
        return wanted, replaces

    def write(self, checked: tuple[str, bool]) -> None:
        """Save, in the saver's own thread."""
        self._saver.save(*checked)
