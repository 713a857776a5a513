"""A preset: a chain of stages, their values and style clips, in one TOML file.

    title = "Robot choir"
    description = "What it is good for, in a sentence."
    tags = ["choir", "voice"]  # optional: by which it can be found

    [[stages]]                 # in the order that the sound takes
    name = "style"             # how controls address it: /gramophone/style/strength
    kind = "style"
    clip = "choir.flac"        # beside the preset, or one of the bundled clips
    strength = 0.8

    [[midi]]                   # optional: which control turns which knob
    knob = "style.strength"
    control = "cc"
    number = 7

    [[macros]]                 # optional: one control for several knobs, see `macro.py`
    name = "Strength"
    targets = [{ parameter = "style.strength", low = 0.0, high = 1.0 }]

What a kind's keys may hold is the parameter table's business (`realtime.parameter_table`), not the file format's; what
a `[[midi]]` table may hold is `gramophone.realtime.control.midi`'s.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gramophone.presets.atomic import atomic_write
from gramophone.presets.checks import PresetError, Scalar, repeated, scalars, tables, text_at, texts_at
from gramophone.presets.clips import clip_called, clips_folder
from gramophone.presets.macro import MACRO, Macro, macros_from
from gramophone.presets.voices import found_voice

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

CLIPS = Path(__file__).parent / "clips"
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_TOP_KEYS = {"title", "description", "tags", "stages", "midi", "macros"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_END_MARKS = "\0\x1a"
"""What some editors and DOS tools leave after the last line."""


@dataclass(frozen=True)
class StageSettings:
    """One stage of a preset: its name in this chain, its kind, and the values that the preset sets."""

    name: str
    kind: str
    values: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A chain by name. `path` is the file that it was read from; None for one made in code.

    `midi` holds the `[[midi]]` tables as they are written.
    """

    name: str
    stages: tuple[StageSettings, ...]
    title: str = ""
    description: str = ""
    path: Path | None = None
    midi: tuple[Mapping[str, Scalar], ...] = ()
    macros: tuple[Macro, ...] = ()
    tags: tuple[str, ...] = ()

    def stage(self, name: str) -> StageSettings:
        """Return the stage called `name`.

        Raises:
            PresetError: the chain has no such stage.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise PresetError(f"{self.where}: no stage {name!r}; the chain has {', '.join(s.name for s in self.stages)}")

    def with_values(self, changes: Mapping[tuple[str, str], Scalar]) -> Preset:
        """Return the preset with the value at each `(stage, key)` of `changes` set; `("macro", "1")` is a macro's.

        Raises:
            PresetError: the chain has no such stage.
        """
        macros = [*self.macros]
        changed: dict[str, dict[str, Scalar]] = {}
        for (name, key), value in changes.items():
            if name == MACRO and macros:
                macros[int(key) - 1] = replace(macros[int(key) - 1], value=float(value))
                continue
            if name not in changed:
                changed[name] = dict(self.stage(name).values)
            changed[name][key] = value
        stages = (
            replace(stage, values=changed[stage.name]) if stage.name in changed else stage for stage in self.stages
        )
        return replace(self, stages=tuple(stages), macros=tuple(macros))

    def mapped(self, change: Callable[[Scalar], Scalar]) -> Preset:
        """Return the preset with each value of its stages changed."""
        return self.with_values(
            {(stage.name, key): change(value) for stage in self.stages for key, value in stage.values.items()}
        )

    @property
    def where(self) -> str:
        """How errors call this preset: its file if it has one."""
        return str(self.path) if self.path else f"preset {self.name!r}"

    def find_file(self, name: str) -> Path:
        """Return the file that a value names: absolute, beside the preset, a bundled clip, an own one, or a voice.

        Raises:
            PresetError: there is no such file.
        """
        folders = [self.path.parent] if self.path else []
        with suppress(OSError):  # a name that no file can have, such as one of 300 letters
            for candidate in (folder / name for folder in (*folders, CLIPS)):
                if candidate.is_file():
                    return candidate.resolve()
        if clip := clip_called(name):
            return clip.file
        if voice := found_voice(name):
            return voice
        searched = ", ".join(str(folder) for folder in (*folders, CLIPS, clips_folder()))
        raise PresetError(f"{self.where}: no file {name!r} in {searched}")


def read(path: Path) -> Preset:
    """Read a preset file: UTF-8, with or without a byte-order mark and with any line ends, or UTF-16 with a mark.

    Raises:
        PresetError: the file cannot be read, or is not a preset; the message says what was expected.
    """
    return parse(_text_of(path), path)


def parse(text: str, path: Path) -> Preset:
    """Return the preset that `text`, the contents of `path`, describes.

    Raises:
        PresetError: the text is not TOML, lacks a key, or has one too many.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise PresetError(f"{path}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # of TOML, or an integer of more digits than Python reads
        raise PresetError(f"{path}: not valid TOML: {error}") from None
    for key in document.keys() - _TOP_KEYS:
        raise PresetError(f"{path}: unknown key {key!r}; expected {', '.join(sorted(_TOP_KEYS))}")
    rows = document.get("stages")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise PresetError(f"{path}: expected at least one [[stages]] table")
    stages = tuple(_stage(row, number, path) for number, row in enumerate(rows, 1))
    for name in repeated(stage.name for stage in stages):
        raise PresetError(f"{path}: two stages are called {name!r}; give one another name")
    macros = macros_from(document.get("macros", []), str(path))
    if macros and any(stage.name == MACRO for stage in stages):
        raise PresetError(f"{path}: a stage is called {MACRO!r}, as [[macros]] are; give it another name")
    title, description = (text_at(document, key, "", str(path)) for key in ("title", "description"))
    midi, tags = _midi(document.get("midi", []), path), texts_at(document, "tags", str(path))
    return Preset(path.stem, stages, title, description, path, midi, macros, tags)


def save(preset: Preset, path: Path) -> None:
    """Write `preset` to `path`, keeping the comments and layout of the file that it was read from.

    A layout that cannot be kept (stages written inline, say, and now in another order) gives way to the plain one:
    what is written always reads as `preset`. The file appears whole or not at all, in place of an older one; files
    that it names are named as seen from there.

    Raises:
        PresetError: the file cannot be written, or holds what TOML cannot.
    """
    stages = tuple(replace(stage, values=_seen_from(path, stage.values)) for stage in preset.stages)
    wanted = replace(preset, stages=stages)
    text = _edited(wanted)
    if text is None or not _reads_as(text, wanted):
        text = _plain(wanted)
    try:
        with atomic_write(path) as part:
            part.write_text(text, "utf-8")
    except OSError as error:
        raise PresetError(f"{path}: cannot be written: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise PresetError(f"{path}: cannot be written: {error.object[error.start]!r} is no character") from None


def _text_of(path: Path) -> str:
    """Return the text of a file with line feeds as line ends, without marks at its beginning and end."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except OSError as error:
        raise PresetError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PresetError(f"{path}: not a text file: {error}") from None
    return text.rstrip(_END_MARKS).replace("\r\n", "\n").replace("\r", "\n")


def _edited(preset: Preset) -> str | None:
    """Return the file that `preset` was read from with its values changed to the preset's; None if that fails."""
    import tomlkit  # a fifth of a second that only saving pays
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import AoT

    if not preset.path or not preset.path.is_file():
        return None
    try:
        document = tomlkit.parse(_text_of(preset.path))
        for key, text in (("title", preset.title), ("description", preset.description)):
            if document.get(key, "") != text:
                document[key] = text
        if tuple(document.get("tags", ())) != preset.tags:
            document["tags"] = list(preset.tags)
        old = {str(table.get("name", table["kind"])): table for table in document["stages"]}
        if [*old] != [stage.name for stage in preset.stages]:
            document["stages"] = AoT([old.get(stage.name, tomlkit.table()) for stage in preset.stages])
        for stage, table in zip(preset.stages, document["stages"], strict=True):
            values = {"name": stage.name, "kind": stage.kind, **stage.values}
            for key in table.keys() - values.keys():
                del table[key]
            for key, value in values.items():
                if table.get(key, stage.kind if key == "name" else None) != value:
                    table[key] = value
        _put_midi(document, [dict(row) for row in preset.midi])
        _put_macros(document, [macro.row() for macro in preset.macros])
        return tomlkit.dumps(document)
    except (PresetError, TOMLKitError, KeyError, TypeError, ValueError, AttributeError):
        return None  # somebody broke the file since, or it is laid out in a way that tomlkit cannot edit


def _plain(preset: Preset) -> str:
    """Return `preset` as a file without comments."""
    import tomlkit

    stages = [{"name": stage.name, "kind": stage.kind, **stage.values} for stage in preset.stages]
    document: dict[str, Any] = {"title": preset.title, "description": preset.description}
    document |= {"tags": list(preset.tags)} if preset.tags else {}
    rows = {"midi": [dict(row) for row in preset.midi], "macros": [macro.row() for macro in preset.macros]}
    return tomlkit.dumps(document | {"stages": stages} | {key: tables for key, tables in rows.items() if tables})


def _reads_as(text: str, preset: Preset) -> bool:
    """Return whether a file with this text is `preset`."""
    try:
        found = parse(text, Path(f"{preset.name}.toml"))
    except PresetError:
        return False
    parts = ("title", "description", "tags", "stages", "midi", "macros")
    return all(getattr(found, part) == getattr(preset, part) for part in parts)


def _seen_from(path: Path, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return `values` with files as a preset at `path` names them: one beside it, a clip, a voice, by name alone."""
    beside = path.absolute().parent

    def seen(value: Scalar) -> Scalar:
        if isinstance(value, str) and value and found_voice(Path(value).stem) == Path(value):
            return Path(value).stem
        if not isinstance(value, str) or Path(value).parent not in (beside, CLIPS, clips_folder()):
            return value
        name = Path(value).name
        hidden = Path(value).parent != beside and (beside / name).exists()
        return value if hidden else name

    return {key: seen(value) for key, value in values.items()}


def _put_midi(document: TOMLDocument, rows: list[dict[str, Scalar]]) -> None:
    """Put `rows` in place of the document's `[[midi]]` tables, leaving those that stay as they are written."""
    import tomlkit

    written = document.get("midi", [])
    if [dict(table) for table in written] == rows:
        return
    document.pop("midi", None)
    tables = tomlkit.aot()
    for row in rows:
        tables.append(next((table for table in written if dict(table) == row), None) or tomlkit.item(row))
    if rows:
        document["midi"] = tables


def _put_macros(document: TOMLDocument, rows: list[dict[str, Any]]) -> None:
    """Put `rows` in place of the document's `[[macros]]` tables, changing no more of each than its values."""
    import tomlkit

    written = {str(table.get("name")): table for table in document.get("macros", [])}
    if [_plain_row(table) for table in written.values()] == rows:
        return
    document.pop("macros", None)
    tables = tomlkit.aot()
    for row in rows:
        old = written.get(row["name"])
        tables.append(_edited_macro(old, row) if old else tomlkit.item(row))
        if old:
            tables[-1].trivia.indent = old.trivia.indent  # appending puts an empty line there
    if rows:
        document["macros"] = tables


def _plain_row(table: Any) -> dict[str, Any]:
    """Return a table of tomlkit's without its wording."""
    return dict(table.unwrap())


def _edited_macro(table: Any, row: dict[str, Any]) -> Any:
    """Return a `[[macros]]` table that holds `row`; a new key goes behind the name."""
    import tomlkit

    new = {key: value for key, value in row.items() if key not in table}
    edited = tomlkit.table()
    for key, item in table.value.body:
        name = key.key if key else None
        if name is None:
            edited.add(item)
        elif name in row:
            edited.append(key, item if _unwrapped(item) == row[name] else row[name])
        if name == "name":
            for added, value in new.items():
                edited.append(added, value)
    return edited


def _unwrapped(item: Any) -> Any:
    return item.unwrap() if hasattr(item, "unwrap") else item


def _stage(table: dict[str, Any], number: int, path: Path) -> StageSettings:
    where = f"{path}: stage {number}"
    kind = text_at(table, "kind", None, where)
    name = text_at(table, "name", kind, where)
    if not _NAME.fullmatch(name):
        raise PresetError(f"{where}: name = {name!r}: expected small letters, digits and '-'")
    values = {key: value for key, value in table.items() if key not in ("name", "kind")}
    return StageSettings(name, kind, scalars(values, f"{where} ({name})"))


def _midi(found: object, path: Path) -> tuple[Mapping[str, Scalar], ...]:
    rows = tables(found, "midi", str(path))
    return tuple(scalars(row, f"{path}: midi {number}") for number, row in enumerate(rows, 1))
