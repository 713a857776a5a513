"""The desk: where every hand on the controls meets. OSC, MIDI, the web page and the terminal turn knobs here only.

The desk checks what comes against the parameter table, keeps the newest value of every knob, tells whoever listens,
and hands changes on to a `Sink`: the engine itself, or the shared memory through which the worker process hears.
It knows no sockets, devices or processes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from gramophone.models.parameters import Parameter, Value, lookup
from gramophone.presets import Preset, load
from gramophone.realtime.parameter_table import complete, table

_Any = TypeVar("_Any")

_REMEMBERED = 8

SWITCHES = ("mute", "bypass", "panic")
"""What is turned beside knobs, by the names that `set_many` knows them by."""

Listener = Callable[[str, Value], None]
"""Called with `stage.parameter` (or `mute`, `bypass`) and the new value, in the thread that set it; must not block."""


class Sink(Protocol):
    """What plays: takes changes that the desk has checked."""

    def set(self, address: str, value: Value) -> None:
        """Turn one knob; heard from the next block on."""

    def set_many(self, changes: Mapping[str, Value]) -> None:
        """Turn several knobs, and what else is `SWITCHES`; heard from the same block on."""

    def change(self, preset: Preset) -> None:
        """Fade over to a preset, complete and checked."""

    def mute(self, muted: bool) -> None:
        """Silence the output, or let it be heard again; faded."""

    def bypass(self, bypassed: bool) -> None:
        """Let the dry, aligned sound through, or the chain again; faded."""

    def panic(self) -> None:
        """Forget all sound under way: tails, echoes, frozen rooms."""


class Controller:
    """The controls of what plays. Any thread may call; calls are short and never wait for the sound."""

    def __init__(self, preset: Preset, sink: Sink) -> None:
        self._lock = threading.RLock()
        self._sink = sink
        self.muted = self.bypassed = False
        self._listeners: list[Listener] = []
        self._parameter_listeners: list[Callable[[], None]] = []
        self.layout = 0
        """How often that happened which `listen_parameters` tells."""
        self._played: deque[tuple[Preset, Preset]] = deque(maxlen=_REMEMBERED)
        self._preset = self._given = complete(preset)
        self._take(self._preset, self._given)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Every knob by its address, in the order of the chain."""
        return self._parameters

    @property
    def name(self) -> str:
        """What the preset that plays is called."""
        return self._preset.name

    @property
    def preset(self) -> Preset:
        """The preset that plays, with every value and mapping as it is now."""
        with self._lock:
            changes: dict[tuple[str, str], Value] = {}
            for address, value in self._values.items():
                stage, _, key = address.partition(".")
                changes[stage, key] = value
            return self._preset.with_values(changes)

    def get(self, address: str) -> Value:
        """Return a knob's newest value.

        Raises:
            ParameterError: there is no such knob.
        """
        lookup(self._parameters, address)
        return self._values[address]

    def set(self, address: str, value: Value) -> None:
        """Turn a knob.

        Raises:
            ParameterError: there is no such knob, or it does not take the value.
        """
        with self._lock:
            checked = lookup(self._parameters, address).check(value)
            if checked == self._values[address]:
                return
            self._values[address] = checked
            self._sink.set(address, checked)
            self._tell(address, checked)

    def set_many(self, changes: Mapping[str, Value]) -> None:
        """Turn several knobs, and `SWITCHES`, at once: they are heard from the same block on.

        Raises:
            ParameterError: there is no such knob, or it does not take its value; then none is turned.
        """
        with self._lock:
            switched = {name: bool(value) for name, value in changes.items() if name in SWITCHES}
            knobs = {address: value for address, value in changes.items() if address not in SWITCHES}
            checked = {address: lookup(self._parameters, address).check(value) for address, value in knobs.items()}
            turned = {address: value for address, value in checked.items() if value != self._values[address]}
            news = {**turned, **switched}
            if not news:
                return
            self._sink.set_many(news)
            self._values.update(turned)
            self.muted, self.bypassed = switched.get("mute", self.muted), switched.get("bypass", self.bypassed)
            for address, value in news.items():
                if address != "panic":
                    self._tell(address, value)

    def set_0to1(self, address: str, position: float) -> None:
        """Turn a knob to a position, 0 to 1, of its range; switches are on from 0.5, choices share the range.

        Raises:
            ParameterError: there is no such knob, or it is a file name.
        """
        self.set(address, lookup(self._parameters, address).value_at(position))

    def get_0to1(self, address: str) -> float:
        """Return a knob's position, 0 to 1.

        Raises:
            ParameterError: there is no such knob, or it is a file name.
        """
        return lookup(self._parameters, address).position_of(self.get(address))

    def change(self, preset: Preset | str) -> None:
        """Fade over to a preset, by itself or by factory name.

        Raises:
            PresetError: it cannot be found or does not fit; what plays goes on.
        """
        new = complete(load(preset) if isinstance(preset, str) else preset)
        with self._lock:
            self._sink.change(new)
            self._lay_out(new)

    def revert(self, playing: Callable[[], Preset | None]) -> None:
        """Show what the sink says that it is `playing`, since what followed it could not be made.

        It is called, and mapped, as it was when it was left: the sink knows nothing of that.
        """
        with self._lock:
            preset = playing()
            if preset is None or _same(preset, self._given):
                return  # another one has been chosen meanwhile
            known = next((left for given, left in reversed(self._played) if _same(given, preset)), preset)
            self._lay_out(replace(known, stages=preset.stages), given=preset)

    def rename(self, saved: Preset) -> None:
        """Call what plays as it is called in the file that it has just been saved to."""
        with self._lock:
            self._preset = replace(self._preset, name=saved.name, title=saved.title, path=saved.path)
            self._notify_parameters()

    def keep_midi(self, rows: tuple[Mapping[str, Value], ...]) -> None:
        """Keep the `[[midi]]` tables of the mappings at work with the preset that plays."""
        with self._lock:
            self._preset = replace(self._preset, midi=rows)

    def mute(self, muted: bool) -> None:
        """Silence the output, or let it be heard again; listeners hear of it as `mute`."""
        with self._lock:
            self.muted = muted
            self._sink.mute(muted)
            self._tell("mute", muted)

    def bypass(self, bypassed: bool) -> None:
        """Let the dry sound through, or the chain again; listeners hear of it as `bypass`."""
        with self._lock:
            self.bypassed = bypassed
            self._sink.bypass(bypassed)
            self._tell("bypass", bypassed)

    def panic(self) -> None:
        """Forget all sound under way."""
        self._sink.panic()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of every change; call what is returned to end it."""
        return self._subscribe(self._listeners, listener)

    def listen_parameters(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Tell `listener` when another preset, knobs or name and all, is in place; call what is returned to end it."""
        return self._subscribe(self._parameter_listeners, listener)

    def _tell(self, address: str, value: Value) -> None:
        for listener in list(self._listeners):
            listener(address, value)

    def _lay_out(self, preset: Preset, given: Preset | None = None) -> None:
        self._played.append((self._given, self._preset))
        self._take(preset, given or preset)
        self._notify_parameters()

    def _notify_parameters(self) -> None:
        self.layout += 1
        for listener in list(self._parameter_listeners):
            listener()

    def _take(self, preset: Preset, given: Preset) -> None:
        self._preset, self._given = preset, given
        self._parameters = table(preset)
        self._values = {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}

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
