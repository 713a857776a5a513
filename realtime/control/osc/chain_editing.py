"""Editing the chain over OSC: stages are added, removed, duplicated, moved and swapped while the sound plays.

Each command makes another preset out of the one that plays, which takes the way of any change of preset: it is checked
and prepared in the background, and faded over to. What cannot be is refused, and what plays goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from gramophone.models.parameters import suggest
from gramophone.presets import MACRO, Macro, Preset, PresetError, StageSettings
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.osc.library import Library
from gramophone.realtime.control.osc.method import OscMethod, Ranges
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message
from gramophone.realtime.parameter_table import COMMON, complete
from gramophone.realtime.stage import StageError
from gramophone.realtime.stage_registry import KindError, keys_of, kinds

MOST_STAGES = 32
Edit = Callable[[Preset], Preset]
"""From the preset that plays, the one that is to play."""


def with_stage(preset: Preset, stage: StageSettings, place: int) -> Preset:
    """Return `preset` with a stage at a place, 0 the first; its name is made another one where it is taken.

    Raises:
        RefusedError: it would have too many stages.
    """
    if len(preset.stages) >= MOST_STAGES:
        raise RefusedError("refused value", f"a chain has {MOST_STAGES} stages at most")
    named = replace(stage, name=_free_name(preset, stage.name))
    return replace(preset, stages=(*preset.stages[:place], named, *preset.stages[place:]))


def without_stage(preset: Preset, name: str) -> Preset:
    """Return `preset` without a stage, and without what of its macros and mappings sets it.

    Raises:
        RefusedError: it is the only one.
    """
    gone = preset.stage(name)
    if len(preset.stages) == 1:
        raise RefusedError("refused value", f"{name}: is the only stage; a chain has one at least")
    left = replace(preset, stages=tuple(stage for stage in preset.stages if stage is not gone))
    return _disconnected(left, name)


def with_moved(preset: Preset, name: str, place: int) -> Preset:
    """Return `preset` with a stage at another place, 0 the first."""
    others = [stage for stage in preset.stages if stage.name != name]
    return replace(preset, stages=(*others[:place], preset.stage(name), *others[place:]))


def with_swapped(preset: Preset, name: str, stage: StageSettings) -> Preset:
    """Return `preset` with another stage in the place of one, with its bypass and mix."""
    place = _place(preset, name)
    old = preset.stages[place].values
    kept = {knob.name: old[knob.name] for knob in COMMON if knob.name in old}
    others = replace(preset, stages=(*preset.stages[:place], *preset.stages[place + 1 :]))
    new = replace(stage, name=_free_name(others, stage.name), values={**stage.values, **kept})
    stages = (*others.stages[:place], new, *others.stages[place:])
    return replace(_disconnected(others, name), stages=stages)


class ChainEditor:
    """Applies edits to what a controller plays, in the order in which they came. Any thread may call."""

    def __init__(self, controller: Controller, library: Library) -> None:
        self.controller, self.library = controller, library
        self._lock = threading.Lock()
        self._waiting: list[Edit] = []
        self._base = controller.generation

    def put(self, edit: Edit) -> None:
        """Let an edit wait for `apply`. Those that wait for a preset that plays no more are dropped."""
        with self._lock:
            if self._base != self.controller.generation:
                self._waiting.clear()
            self._base = self.controller.generation
            self._waiting.append(edit)

    def apply(self) -> None:
        """Fade over to what plays with all edits that wait.

        Raises:
            PresetError, RefusedError: the edits cannot be made, or make no chain; what plays goes on.
        """
        self.controller.prepare(self._edited, self._enter)

    def demand_stage(self, name: str, message: Message) -> None:
        """Check that there is a stage of this name, or may be once the edits that wait are done.

        Raises:
            RefusedError: there is none.
        """
        names = [stage.name for stage in self.controller.preset.stages]
        if name not in names and not self._waiting:
            raise RefusedError("refused value", f"{message.address}: no stage {name[:80]!r}; {suggest(name, names)}")

    def _edited(self) -> tuple[Preset, int]:
        with self._lock:
            edits = list(self._waiting)
        try:
            preset = self.controller.preset
            for edit in edits:
                preset = edit(preset)
            return complete(preset), len(edits)
        except Exception:
            with self._lock:
                del self._waiting[: len(edits)]
            raise

    def _enter(self, edited: tuple[Preset, int]) -> None:
        preset, done = edited
        with self._lock:
            del self._waiting[:done]
        self.controller.enter(preset)


class ChainMethod(OscMethod):
    """A command that edits the chain; `edit` returns the edit that a message asks for.

    The edit waits from its check on, so that of several in one bundle none is lost.
    """

    readable = False
    changes_parameters = True
    takes_a_while = True

    def __init__(
        self, path: str, types: str, description: str, editor: ChainEditor, edit: Callable[[Message], Edit]
    ) -> None:
        super().__init__(path, "chain", description)
        self.types, self._editor, self._edit = types, editor, edit

    def check(self, message: Message) -> bool:
        """Let the edit wait that the message asks for."""
        try:
            self._editor.put(self._edit(message))
        except PresetError as error:
            raise RefusedError("refused value", f"{message.address}: {error}") from None
        return True

    def write(self, checked: bool) -> None:
        """Fade over to the edited chain."""
        self._editor.apply()


class AddMethod(ChainMethod):
    """Add a stage: a kind by name, or `preset/stage`, one as it is in a preset of the library."""

    def __init__(self, path: str, editor: ChainEditor) -> None:
        description = "add a stage: an effect, or preset/stage as it is in a preset; then its place, 0 the first"
        super().__init__(path, "si", description, editor, self._add)

    @property
    def ranges(self) -> Ranges:
        """The stages that can be added."""
        return ({"VALS": addable(self._editor.library)}, {"MIN": 0, "MAX": MOST_STAGES})

    def _add(self, message: Message) -> Edit:
        what, *place = _arguments(message, "s", "si")
        stage = stage_named(what, self._editor.library)
        return lambda preset: with_stage(preset, stage(), place[0] if place else len(preset.stages))


def chain_commands(root: str, controller: Controller, library: Library) -> Iterator[OscMethod]:
    """Yield the commands that edit the chain."""
    editor = ChainEditor(controller, library)

    def named(message: Message, shape: str) -> list[Any]:
        values = _arguments(message, shape)
        editor.demand_stage(values[0], message)
        return values

    def remove(message: Message) -> Edit:
        (name,) = named(message, "s")
        return lambda preset: without_stage(preset, name)

    def duplicate(message: Message) -> Edit:
        (name,) = named(message, "s")
        return lambda preset: with_stage(preset, preset.stage(name), _place(preset, name) + 1)

    def move(message: Message) -> Edit:
        name, place = named(message, "si")
        return lambda preset: with_moved(preset, name, place)

    def swap(message: Message) -> Edit:
        name, what = named(message, "ss")
        stage = stage_named(what, library)
        return lambda preset: with_swapped(preset, name, stage())

    yield AddMethod(f"{root}/add", editor)
    yield ChainMethod(f"{root}/remove", "s", "remove a stage", editor, remove)
    yield ChainMethod(f"{root}/duplicate", "s", "put a copy of a stage behind it", editor, duplicate)
    yield ChainMethod(f"{root}/move", "si", "move a stage to a place, 0 the first", editor, move)
    yield ChainMethod(f"{root}/swap", "ss", "put another stage, see add, in the place of one", editor, swap)


def addable(library: Library) -> list[str]:
    """Return what `add` takes: the kinds that a name makes, then the others as they are in presets, one of each."""
    found: dict[tuple[str, object], str] = {}
    for name in library.presets:
        try:
            stages = library.preset(name).stages
        except (PresetError, RefusedError):  # its file is no preset any more
            continue
        for stage in stages:
            if stage.kind not in _made_by_name():
                made_of = stage.values.get("model", stage.values.get("plugin"))
                found.setdefault((stage.kind, made_of), f"{name}/{stage.name}")
    return [*_made_by_name(), *found.values()]


@cache
def _made_by_name() -> tuple[str, ...]:
    """Return the kinds that a name makes; others need a model or plug-in, and are taken from a preset that has one."""

    def is_enough(kind: str) -> bool:
        try:
            keys_of(kind, {}, None)
        except (KindError, StageError, PresetError):
            return False
        return True

    return tuple(kind for kind in kinds() if is_enough(kind))


def stage_named(what: str, library: Library) -> Callable[[], StageSettings]:
    """Return what makes the stage that `add` makes of a text; that may take long, where a plug-in has to be asked.

    Raises:
        PresetError, RefusedError: there is no such kind, preset or stage.
    """
    name, slash, stage = what.partition("/")
    if not slash:
        if what not in _made_by_name():
            raise RefusedError("refused value", f"stage {what[:80]!r}: {suggest(what, addable(library))}")
        return lambda: StageSettings(what, what)
    preset = library.preset(name)
    alone = replace(preset, stages=(preset.stage(stage),), macros=(), midi=())
    return lambda: complete(alone).stages[0]  # files as seen from that preset


def _arguments(message: Message, *shapes: str) -> list[Any]:
    """Return a message's arguments if it has one of these shapes: `s` a text, `i` a whole number from 0 on."""
    for shape in shapes:
        types = message.types.replace("S", "s")
        if len(types) == len(shape) and all((a == "s") == (b == "s") for a, b in zip(types, shape, strict=True)):
            parts = zip(shape, types, message.arguments, strict=True)
            return [_argument(Message(message.address, given, (value,)), kind) for kind, given, value in parts]
    raise arguments.mistyped(message, " or ".join(shapes))


def _argument(message: Message, kind: str) -> str | int:
    if kind == "s":
        return arguments.text(message)
    (place,) = arguments.whole_numbers(message)
    if place < 0:
        raise RefusedError("refused value", f"{message.address}: place {place}: expected 0 or more")
    return place


def _place(preset: Preset, name: str) -> int:
    return preset.stages.index(preset.stage(name))


def _free_name(preset: Preset, wanted: str) -> str:
    """Return `wanted` or, where a stage has it or macros need it, with the next number behind it."""
    taken = {stage.name for stage in preset.stages} | {MACRO}
    base, count, name = wanted.rstrip("0123456789").rstrip("-") or wanted, 1, wanted
    while name in taken:
        count += 1
        name = f"{base}-{count}"
    return name


def _disconnected(preset: Preset, name: str) -> Preset:
    """Return `preset` without the targets of macros, and the mappings, that are parameters of a stage."""

    def stays(address: object) -> bool:
        return str(address).partition(".")[0] != name

    trimmed = (
        replace(macro, targets=tuple(target for target in macro.targets if stays(target.parameter)))
        for macro in preset.macros
    )
    macros: tuple[Macro, ...] = tuple(macro for macro in trimmed if macro.targets)
    return replace(preset, macros=macros, midi=tuple(row for row in preset.midi if stays(row.get("knob", ""))))
