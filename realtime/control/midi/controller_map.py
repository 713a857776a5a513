"""The controller map: MIDI events in, parameters set, feedback messages out. No ports, no threads.

One thread calls `receive` and `tick`; any thread may call the rest.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import mido

from gramophone.models.parameters import ParameterError, Value, lookup
from gramophone.presets import PresetError, names
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi.learn import Learner
from gramophone.realtime.control.midi.takeover import Echo, Takeover, feedback_messages, shown, shows_itself
from gramophone.realtime.control.midi.tempo import Tempo
from gramophone.realtime.midi.clock import from_beats
from gramophone.realtime.midi.decoder import TOP_7, TOP_14, Beat, Event, Moved, Program, Stepped
from gramophone.realtime.midi.mapping import ControlMapping, check_knob, with_mappings
from gramophone.realtime.parameter_table import mappings_of
from gramophone.realtime.switches import ACTIONS, SWITCHES, is_button

_log = logging.getLogger(__name__)
_MOST_ERRORS = 100

Learned = Callable[[ControlMapping], None]
"""Called with a mapping that was learned; must not block."""


@dataclass(frozen=True)
class Outgoing:
    """A message for the devices whose name contains `port`."""

    port: str
    message: mido.Message


@dataclass(eq=False)
class _Mapped:
    """A mapping and its state: `channel` is the one that it was moved on last, `shown` the value that was sent last."""

    mapping: ControlMapping
    takeover: Takeover = field(init=False)
    echo: Echo = field(default_factory=Echo)
    channel: int = 1
    shown: int | None = None

    def __post_init__(self) -> None:
        self.takeover = Takeover(self.mapping)
        self.channel = self.mapping.channel or 1


class ControllerMap:
    """Mappings of MIDI controls to the parameters of a controller.

    Without `mappings`, those of the controller's preset, and later those of each preset that has some. They are kept
    with the preset that plays, so that it is saved with them. `programs` are the presets that program changes 0, 1, ...
    call; all there are, as `presets.names` orders them, unless given.

    Raises:
        PresetError: the preset's mappings do not fit.
    """

    def __init__(
        self,
        controller: Controller,
        mappings: Iterable[ControlMapping] | None = None,
        programs: Sequence[str] | None = None,
    ) -> None:
        self._controller = controller
        self._lock = threading.RLock()
        self._given_programs = programs
        self._follows_presets = mappings is None
        self._pressed: set[str] = set()
        self._learner: Learner | None = None
        self._learned: Learned | None = None
        self._tempo = Tempo()
        self._errors: dict[str, int] = {}
        self._own: tuple[int, _Mapped | None] | None = None
        self._changed: dict[tuple[str, _Mapped | None], None] = {}
        self._has_new_parameters = False
        self._listeners: list[Callable[[], None]] = []
        self._take(mappings_of(controller.preset) if mappings is None else mappings)
        self._unlisten = (controller.listen(self._note_change), controller.listen_parameters(self._note_parameters))

    @property
    def mappings(self) -> tuple[ControlMapping, ...]:
        """The mappings now; they can be set."""
        with self._lock:
            return tuple(mapped.mapping for mapped in self._mapped)

    @mappings.setter
    def mappings(self, mappings: Iterable[ControlMapping]) -> None:
        with self._lock:
            self._take(mappings)

    @property
    def controls(self) -> Mapping[str, str]:
        """The controls that are mapped to each parameter, in words, by the parameter's address."""
        return self._controls

    @property
    def learning(self) -> str:
        """The address of the parameter that a control is being learned for; empty when none is."""
        with self._lock:
            return self._learner.address if self._learner else ""

    @property
    def bpm(self) -> float | None:
        """The tempo, from a source or `set_tempo`, in quarter notes a minute; None while none is known."""
        return self._tempo.bpm

    @property
    def runs(self) -> bool:
        """Whether the clock's transport was started and not stopped."""
        return self._tempo.runs

    @property
    def errors(self) -> dict[str, int]:
        """What went wrong, in words, and how often."""
        return dict(self._errors)

    @property
    def hint(self) -> str | None:
        """What the performer should do so that a control is learned; None when nothing is being learned."""
        with self._lock:
            return self._learner.hint if self._learner else None

    def learn(self, address: str, done: Learned | None = None) -> None:
        """Map the next control that is clearly moved to the parameter at `address`, in place of those mapped so far.

        Until then controls set nothing. `done` is called with the new mapping.

        Raises:
            ParameterError: there is no such parameter, or no control can set it.
        """
        self.check_learnable(address)
        with self._lock:
            action = ACTIONS[address].parameter if address in ACTIONS else None
            self._learner = Learner(address, self._controller.parameters.get(address, action))
            self._learned = done
        self._notify()

    def check_learnable(self, address: str) -> None:
        """Check that a control can be learned for the parameter at `address`.

        Raises:
            ParameterError: there is no such parameter, or no control can set it.
        """
        check_knob(ControlMapping(address), self._controller.parameters)

    def stop_learning(self) -> None:
        """Stop learning; controls set their parameters again."""
        with self._lock:
            self._learner = self._learned = None
        self._notify()

    def unlearn(self, address: str) -> bool:
        """Remove every mapping to the parameter at `address`; return whether there was one."""
        with self._lock:
            self._catch_up()
            left = [mapping for mapping in self.mappings if mapping.knob != address]
            had = len(left) < len(self.mappings)
            self._take(left)
        return had

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever mappings, tempo, or what is being learned may have changed; it must not block."""
        self._listeners.append(listener)

    def set_tempo(self, bpm: float) -> None:
        """Set the tempo, in quarter notes a minute; synced parameters follow, and MIDI clock overrides it.

        Raises:
            ParameterError: the tempo is not a number from 1 to 1000.
        """
        with self._lock:
            self._tempo.set(bpm)
            self._sync()
        self._notify()

    def follow_tempo(self, source: str, bpm: float, runs: bool, time_s: float) -> None:
        """Take the tempo of a source that is no MIDI port, by its name, at `time_s` on the clock of `receive`."""
        with self._lock:
            changed = self._tempo.follow(source, bpm, runs, time_s)
            if changed:
                self._sync()
        if changed:
            self._notify()

    def receive(self, event: Event, port: str = "", time_s: float = 0.0) -> None:
        """Take an event that came from `port` at `time_s`, on any clock that runs evenly. Never raises."""
        try:
            with self._lock:
                self._receive(event, port, time_s)
        except (ParameterError, PresetError) as error:
            self.add_error(str(error))
        except Exception as error:  # whatever it is, the next event must still be received
            self.add_error(f"{event}: {error!r}")

    def tick(self) -> list[Outgoing]:
        """Return the feedback for all that has changed since the last call; call it some 50 times a second."""
        try:
            with self._lock:
                self._catch_up()
                return self._show_changed()
        except (ParameterError, PresetError) as error:
            self.add_error(str(error))
            return []

    def show_all(self) -> None:
        """Send every value with the next `tick`: for a device that was just plugged in."""
        with self._lock:
            for mapped in self._mapped:
                mapped.shown = None
                self._changed[mapped.mapping.knob, None] = None

    def add_error(self, text: str) -> None:
        """Count an error; log it the first time."""
        if text not in self._errors:
            if len(self._errors) >= _MOST_ERRORS:
                text = "further errors"
            if text not in self._errors:
                _log.warning("MIDI: %s", text)
        self._errors[text] = self._errors.get(text, 0) + 1

    def close(self) -> None:
        """Stop following the controller."""
        for unlisten in self._unlisten:
            unlisten()

    def _take(self, mappings: Iterable[ControlMapping]) -> None:
        self._mapped = [_Mapped(mapping) for mapping in mappings]
        self._by_control: dict[tuple[str, int], list[_Mapped]] = {}
        for mapped in self._mapped:
            self._by_control.setdefault((mapped.mapping.control, mapped.mapping.number), []).append(mapped)
        self._keep()
        self.show_all()
        self._sync()

    def _keep(self) -> None:
        """Give the mappings to the controller, which saves them, and describe them for displays."""
        self._controller.keep_midi(with_mappings(self._controller.preset, self.mappings).midi)
        controls: dict[str, list[str]] = {}
        for mapping in self.mappings:
            controls.setdefault(mapping.knob, []).append(mapping.words)
        self._controls = {address: ", ".join(words) for address, words in controls.items()}
        self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()

    def _receive(self, event: Event, port: str, time_s: float) -> None:
        if isinstance(event, Beat):
            if self._tempo.receive(event, port, time_s):
                self._sync()
                self._notify()
        elif self._learner:
            hint = self._learner.hint
            if mapping := self._learner.receive(event):
                self._finish_learning(mapping)
            elif hint != self._learner.hint:
                self._notify()
        elif isinstance(event, Program):
            self._program(event.number)
        else:
            for mapped in self._by_control.get((event.control.kind, event.control.number), ()):
                if mapped.mapping.accepts(event.control.channel, port):
                    mapped.channel, mapped.shown = event.control.channel, None
                    self._move(mapped, event)

    def _finish_learning(self, mapping: ControlMapping) -> None:
        learned, self._learner, self._learned = self._learned, None, None
        self._catch_up()
        others = [other for other in self.mappings if other.knob != mapping.knob]
        self._take([*others, mapping])
        if learned:
            learned(mapping)

    def _program(self, number: int) -> None:
        programs = names() if self._given_programs is None else self._given_programs
        if number >= len(programs):
            raise PresetError(f"program {number}: there are {len(programs)} presets, from program 0")
        self._controller.change(programs[number])

    def _move(self, mapped: _Mapped, event: Moved | Stepped) -> None:
        if mapped.echo.is_echo(event):
            return
        address = mapped.mapping.knob
        position = self._position(address)
        if position is None or (goal := mapped.takeover.move(event, position)) is None:
            return
        self._own = threading.get_ident(), mapped
        try:
            self._put(address, goal)
        finally:
            self._own = None
        mapped.takeover.leave(self._position(address) or 0.0)

    def _position(self, address: str) -> float | None:
        """Return the parameter's normalised value; None if the preset has no such parameter, or it is a file name."""
        if is_button(address):
            return float(address in self._pressed)
        knob = self._controller.parameters.get(address)
        if address in SWITCHES or address in self._controller.actions:
            return self._controller.get_0to1(address)
        if knob is None or (isinstance(knob.default, str) and not knob.choices):
            return None
        return self._controller.get_0to1(address)

    def _put(self, address: str, position: float) -> None:
        pressed = position >= 0.5
        if not is_button(address):
            self._controller.set_0to1(address, position)
        elif (address in self._pressed) != pressed:
            (self._pressed.add if pressed else self._pressed.discard)(address)
            self._controller.set(address, pressed)
            self._note_change(address, pressed)

    def _note_change(self, address: str, value: Value) -> None:
        """Note that a value was changed, and whether by one of our own controls. Runs in any thread; takes no lock."""
        own = self._own
        self._changed[address, own[1] if own and own[0] == threading.get_ident() else None] = None

    def _note_parameters(self) -> None:
        self._has_new_parameters = True

    def _catch_up(self) -> None:
        if self._has_new_parameters:
            self._has_new_parameters = False
            self._follow_parameters()

    def _follow_parameters(self) -> None:
        """Adopt the mappings of a new preset; one without any leaves those that there are."""
        mappings = mappings_of(self._controller.preset)
        if mappings == self.mappings:  # only the preset's name differs: soft takeover keeps its state
            self._keep()
            self.show_all()
        else:
            self._take(mappings if mappings and self._follows_presets else self.mappings)

    def _show_changed(self) -> list[Outgoing]:
        outgoing: list[Outgoing] = []
        for _ in range(len(self._changed)):  # not until there are none: other threads may add faster
            (address, by), _ = self._changed.popitem()
            for mapped in self._mapped:
                if mapped.mapping.knob == address and not (mapped is by and shows_itself(mapped.mapping)):
                    outgoing += self._show(mapped)
        return outgoing

    def _show(self, mapped: _Mapped) -> list[Outgoing]:
        position = self._position(mapped.mapping.knob)
        value = None if position is None else shown(mapped.mapping, position)
        if value is None or value == mapped.shown:
            return []
        mapped.shown = value
        messages = feedback_messages(mapped.mapping, mapped.channel, value)
        if shows_itself(mapped.mapping):
            mapped.echo.sent(value, TOP_7 if mapped.mapping.control in ("cc", "note") else TOP_14)
        return [Outgoing(mapped.mapping.port, message) for message in messages]

    def _sync(self) -> None:
        """Set every parameter that is mapped to the clock to its time at the tempo."""
        if (bpm := self._tempo.bpm) is None:
            return
        for mapped in self._mapped:
            mapping = mapped.mapping
            if mapping.control == "clock" and mapping.knob in self._controller.parameters:
                knob = lookup(self._controller.parameters, mapping.knob)
                self._controller.set(mapping.knob, from_beats(knob, mapping.beats, bpm))
