"""The controller: the one place where values are set, whether OSC, MIDI, the web page or the terminal sends them.

It checks each value once against the parameter table, holds the newest value of every parameter and switch, calls
listeners, and passes changes on to a `Sink`, the session, which writes them to the memory that the worker reads. It
knows no sockets, devices or processes.

Actions (`switches.ACTIONS`) are set like switches and done by whoever has said `perform`, in the thread that set them.

A macro is set here only: its targets go to the sink as if they had been set themselves, all at once. A target that is
set by itself leaves the macro where it is; of both, what comes last is heard.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeVar

from gramophone.models.parameters import Parameter, Value, lookup
from gramophone.presets import Preset, load
from gramophone.realtime.macros import macros_of, targets_at
from gramophone.realtime.parameter_table import complete, table, values_of, with_values
from gramophone.realtime.switches import ACTIONS, SWITCHES, Action, Switch

_Any = TypeVar("_Any")

_REMEMBERED = 8
_PATIENCE_S = 0.05

Perform = Callable[[Value], None]
"""Does an action: called with True for a button, with on or off for a toggle, with 0 to 1 for a fader."""

Listener = Callable[[str, Value], None]
"""Called with the address of a parameter or the name of a switch and the new value, in the thread that set it."""


class Sink(Protocol):
    """What plays: takes changes that the controller has checked. Neither call may wait."""

    def set_many(self, changes: Mapping[str, Value]) -> None:
        """Set parameters by address, and `SWITCHES` by name; heard from the same block on."""

    def change(self, preset: Preset) -> None:
        """Fade over to a preset, complete and checked."""


class Change(NamedTuple):
    """A value that has been checked, and the parameter that it was checked against."""

    address: str
    value: Value
    parameter: Parameter


class Controller:
    """The values of what plays. Any thread may call; listeners must not block.

    Calls are short, also those that put another preset in place: where a plug-in has to be asked for its parameters (up
    to 10 s), or a checkpoint read, that happens in a thread of its own, for which a caller waits `patience_s` at most.
    `switches` are on or off in the sink already; all are off unless given.
    """

    def __init__(
        self, preset: Preset, sink: Sink, patience_s: float = _PATIENCE_S, switches: Mapping[str, bool] | None = None
    ) -> None:
        self._lock = threading.RLock()
        self._sink, self._patience_s = sink, patience_s
        self._switches: dict[str, Value] = {name: bool(switches and switches.get(name)) for name in SWITCHES}
        self._performers: dict[str, Perform] = {}
        self._listeners: list[Listener] = []
        self._parameter_listeners: list[Callable[[], None]] = []
        self._failure_listeners: list[Callable[[Exception], None]] = []
        self.generation = 0
        """How often listeners to `listen_parameters` have been called."""
        self._prepared = self._asked = 0
        self._played: deque[tuple[Preset, Preset]] = deque(maxlen=_REMEMBERED)
        self._preset = self._given = complete(preset)
        self._take(self._preset, self._given)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Every parameter of the chain by its address, `stage.parameter`, in the order of the chain; macros first."""
        return self._parameters

    @property
    def actions(self) -> dict[str, Action]:
        """The actions that somebody performs, by name."""
        return {name: action for name, action in ACTIONS.items() if name in self._performers}

    @property
    def name(self) -> str:
        """The name of the preset that plays."""
        return self._preset.name

    @property
    def preset(self) -> Preset:
        """The preset that plays, with every value and mapping as it is now."""
        with self._lock:
            return with_values(self._preset, self._values)

    @property
    def changing(self) -> bool:
        """Whether another preset has been asked for that is not in place yet."""
        return self._prepared != self._asked

    def written(self, address: str) -> Value:
        """Return the value that a parameter had when the preset that plays was chosen or saved.

        Raises:
            ParameterError: there is none at `address`.
        """
        with self._lock:
            lookup(self._parameters, address)
            return self._written[address]

    def get(self, address: str) -> Value:
        """Return the newest value of a parameter or switch, in the parameter's unit.

        Raises:
            ParameterError: there is none at `address`.
        """
        with self._lock:
            lookup(self._known, address)
            return self._switches[address] if address in self._switches else self._values[address]

    def get_0to1(self, address: str) -> float:
        """Return the normalised value, 0 to 1, of a parameter or switch.

        Raises:
            ParameterError: there is none at `address`, or it is a file name.
        """
        with self._lock:
            return lookup(self._known, address).position_of(self.get(address))

    def check(self, address: str, value: object) -> Change:
        """Return the change that sets a parameter or switch to `value`, in the parameter's unit.

        Raises:
            ParameterError: there is none at `address`, or it does not take the value.
        """
        parameter = lookup(self._known, address)
        return Change(address, parameter.check(value), parameter)

    def apply(self, changes: Iterable[Change]) -> None:
        """Set what has been checked, all at once: it is heard from the same block on.

        Raises:
            ParameterError: another preset has come since, which does not take one of the values; then none is set.
        """
        with self._lock:
            known = [
                change if self._known.get(change.address) is change.parameter else self.check(*change[:2])
                for change in changes
            ]
            asked: dict[str, Value] = {}
            for address, value, _ in known:
                asked[address] = value
                if address in self._macros:
                    asked |= targets_at(self._macros[address], float(value), self._parameters)
            new = {address: value for address, value in asked.items() if value != self.get(address)}
            silent = {*self._macros, *self._performers}
            heard = {address: value for address, value in new.items() if address not in silent}
            if heard:
                self._sink.set_many(heard)
            for address, value in new.items():
                self._keep(address, value)
        for address in [address for address in new if address in self._performers]:
            self._performers[address](new[address])  # unlocked: it may have to wait for another thread that sets values

    def perform(self, performers: Mapping[str, Perform]) -> None:
        """Let actions be done from now on, each of those named by its function; before that there are none."""
        with self._lock:
            self._performers |= performers
            self._switches |= {name: ACTIONS[name].parameter.default for name in performers}
            self._know()
            self._notify_parameters()

    def show(self, action: str, value: Value) -> None:
        """Take note of where a toggle or fader stands that has moved by itself; nothing is performed."""
        with self._lock:
            if self._switches.get(action) != value:
                self._keep(action, value)

    def set(self, address: str, value: object) -> None:
        """Set a parameter or switch, in the parameter's unit.

        Raises:
            ParameterError: there is none at `address`, or it does not take the value.
        """
        self.apply((self.check(address, value),))

    def set_0to1(self, address: str, position: float) -> None:
        """Set a parameter or switch by its normalised value, 0 to 1: bools are true from 0.5, choices share the range.

        Raises:
            ParameterError: there is none at `address`, or it is a file name.
        """
        self.set(address, lookup(self._known, address).value_at(position))

    def set_many(self, changes: Mapping[str, object]) -> None:
        """Set parameters and switches at once: they are heard from the same block on.

        Raises:
            ParameterError: there is none at an address, or it does not take its value; then none is set.
        """
        self.apply([self.check(address, value) for address, value in changes.items()])

    def change(self, preset: Preset | str) -> None:
        """Fade over to a preset, itself or by factory name; see `prepare` for how long that takes.

        Raises:
            PresetError: it cannot be found or does not fit; what plays goes on.
        """
        self.prepare(lambda: complete(load(preset) if isinstance(preset, str) else preset), self.enter)

    def prepare(self, make: Callable[[], _Any], use: Callable[[_Any], None]) -> None:
        """Call `use` with what `make` returns, unless the next call of this kind comes before that is made.

        `make` may take long: it runs in a thread of its own, and so does `use`, with the controller locked. Returns
        when both are done, or after `patience_s`. What fails after that is passed to `listen_failures`.

        Raises:
            What `make` or `use` raises in time.
        """
        with self._lock:
            self._asked = number = self._asked + 1
        done: Future[None] = Future()

        def work() -> None:
            error: Exception | None = None
            try:
                made = make()
                with self._lock:
                    if number == self._asked:
                        use(made)
            except Exception as raised:
                error = raised
            self._prepared = max(self._prepared, number)
            done.set_exception(error) if error else done.set_result(None)

        threading.Thread(target=work, name="preset", daemon=True).start()
        if wait((done,), self._patience_s).done:
            done.result()
        else:
            done.add_done_callback(self._report_failure)

    def enter(self, preset: Preset) -> None:
        """Fade over to a preset that is complete already.

        Raises:
            PresetError: its settings do not make a chain; what plays goes on.
        """
        with self._lock:
            self._sink.change(preset)
            self._remember_and_take(preset, preset)

    def revert(self, playing: Callable[[], Preset | None]) -> None:
        """Go back to the preset that the sink returns from `playing`, since the one after it could not be made.

        It gets the name and mappings that it had when it was left: the sink knows only its chain and values.
        """
        with self._lock:
            preset = playing()
            if preset is None or _same(preset, self._given):
                return  # another one has been chosen meanwhile
            known = next((left for given, left in reversed(self._played) if _same(given, preset)), preset)
            self._remember_and_take(replace(known, stages=preset.stages), preset)

    def rename(self, saved: Preset) -> None:
        """Give what plays the name, title and path of the file that it has just been saved to."""
        with self._lock:
            self._preset = replace(self._preset, name=saved.name, title=saved.title, path=saved.path)
            self._written = dict(self._values)
            self._notify_parameters()

    def keep_midi(self, rows: tuple[Mapping[str, Value], ...]) -> None:
        """Keep the `[[midi]]` tables of the mappings in use with the preset that plays."""
        with self._lock:
            self._preset = replace(self._preset, midi=rows)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every change of a value; call what is returned to end that."""
        return self._subscribe(self._listeners, listener)

    def listen_parameters(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when another preset, or another name, is in place; call what is returned to end that."""
        return self._subscribe(self._parameter_listeners, listener)

    def listen_failures(self, listener: Callable[[Exception], None]) -> Callable[[], None]:
        """Call `listener` with why a preset that took long could not be prepared; call what is returned to end that."""
        return self._subscribe(self._failure_listeners, listener)

    def _keep(self, address: str, value: Value) -> None:
        """Note a new value and call the listeners; of what is momentary there is nothing to note."""
        row = SWITCHES.get(address) or ACTIONS.get(address)
        if row and row.momentary:
            return
        (self._switches if row else self._values)[address] = value
        for listener in list(self._listeners):
            listener(address, value)

    def _remember_and_take(self, preset: Preset, given: Preset) -> None:
        self._played.append((self._given, self.preset))
        self._take(preset, given)
        self._notify_parameters()

    def _take(self, preset: Preset, given: Preset) -> None:
        self._values = values_of(preset)
        self._written = self._written_values(preset)
        self._parameters, self._macros = table(preset), macros_of(preset)
        self._know()
        self._preset, self._given = preset, given

    def _written_values(self, preset: Preset) -> dict[str, Value]:
        """Return a preset's values as they were written: where only the chain has changed, of parameters that stay."""
        if (preset.name, preset.path) != (self._preset.name, self._preset.path) or _same(preset, self._preset):
            return dict(self._values)
        known, parameters = self._parameters, table(preset)
        stay = {address: self._written[address] for address in known if parameters.get(address) == known[address]}
        return self._values | stay

    def _know(self) -> None:
        rows: dict[str, Switch | Action] = {**SWITCHES, **self.actions}
        self._known = {**{name: row.parameter for name, row in rows.items()}, **self._parameters}

    def _notify_parameters(self) -> None:
        self.generation += 1
        for listener in list(self._parameter_listeners):
            listener()

    def _report_failure(self, done: Future[None]) -> None:
        if isinstance(error := done.exception(), Exception):
            for listener in list(self._failure_listeners):
                listener(error)

    def _subscribe(self, listeners: list[_Any], listener: _Any) -> Callable[[], None]:
        with self._lock:
            listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in listeners:
                    listeners.remove(listener)

        return end


def _same(one: Preset, other: Preset) -> bool:
    """Whether two presets are one and the same but for their values."""
    return (one.name, one.path) == (other.name, other.path) and [(stage.name, stage.kind) for stage in one.stages] == [
        (stage.name, stage.kind) for stage in other.stages
    ]
