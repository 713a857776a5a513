"""What a host's project holds of one instance: the preset, copies of the clips that it names, what the controls do.

It begins with what the plug-in has to know before there is an engine: rate, longest block, the latency of the chain in
samples and the blocks of time, each a whole number with a `/` behind it. The rest is a JSON document with the preset as
TOML, packed into letters, digits, `+`, `/` and `=`: hosts keep a text in formats of their own, of which Turtle as
Ardour reads it loses backslashes. Files that Gramophone ships are named; the user's own are named by hash, and the text
holds a copy of them, so that the project plays on another machine.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gramophone.models.parameters import Value
from gramophone.presets import CLIPS, Preset, PresetError, parse, save
from gramophone.presets.hashed_files import HashedFiles, token_of
from gramophone.realtime.bridge.protocol import LARGEST_PAYLOAD
from gramophone.realtime.parameter_table import complete, concise
from gramophone.realtime.system.cache_folder import cache_folder

VERSION = 1
MOST_COPIED_BYTES = 8 << 20
"""Of all copies in a state together; files beyond that are named by hash alone."""


@dataclass(frozen=True)
class ProjectState:
    """A complete preset, its number in the host (see `preset_numbers`), the addresses of the free parameters.

    `missing`: the files that could not be found, for people.
    """

    preset: Preset
    number: int = 0
    free: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def to_text(state: ProjectState, known: tuple[int, int, int, int] = (0, 0, 0, 1)) -> str:
    """Return the state as the text that a project stores.

    `known`: rate in Hz, longest block in frames, and what is true at these: the chain's latency in samples, the blocks
    of time that the engine needs.
    """
    files: dict[str, dict[str, str]] = {}
    shipped = CLIPS.resolve()

    def named(value: Value) -> Value:
        path = Path(value) if isinstance(value, str) and value.startswith("/") else None
        if path is None or not path.is_file():
            return value
        if path.resolve().is_relative_to(shipped):
            return str(path.resolve().relative_to(shipped))
        room = MOST_COPIED_BYTES - sum(len(file.get("data", "")) * 3 // 4 for file in files.values())
        token, file = _copied(path, room)
        files[token] = file
        return token

    preset = replace(concise(state.preset), path=None).mapped(named)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.toml"
        save(preset, path)
        toml = path.read_text("utf-8")
    document = {"version": VERSION, "name": preset.name, "preset": toml, "files": files}
    whole = json.dumps(document | {"number": state.number, "free": list(state.free)})
    packed = base64.b64encode(zlib.compress(whole.encode("utf-8"))).decode("ascii")
    return "".join(f"{number}/" for number in known) + packed


def from_text(text: str) -> ProjectState:
    """Return the state that a project stored; where a file is nowhere, its parameter is empty.

    Raises:
        PresetError: the text is no state, or its preset cannot be played.
    """
    try:
        document = json.loads(_unpacked(text))
        if (version := document["version"]) == VERSION:
            return _state_of(document)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error) as error:
        raise PresetError(f"the project's state is none of Gramophone's: {error}") from None
    raise PresetError(
        f"the project was stored by another version of Gramophone, in form {version}; this one reads form {VERSION}"
    )


def _state_of(document: Mapping[str, Any]) -> ProjectState:
    """Return the state in a document of this version."""
    name, toml, files = (document[key] for key in ("name", "preset", "files"))
    number, free = int(document["number"]), tuple(map(str, document["free"]))
    preset = parse(toml, Path(f"{name}.toml"))
    where = {token: _found(token, file) for token, file in files.items()}
    missing = tuple(str(files[token]["path"]) for token, path in where.items() if path is None)

    def found(value: Value) -> Value:
        return str(where[value] or "") if isinstance(value, str) and value in where else value

    return ProjectState(complete(replace(preset, path=None).mapped(found)), number, free, missing)


def _unpacked(text: str) -> bytes:
    """Return the document that a text holds, which is not longer than it may be."""
    unpacker = zlib.decompressobj()
    packed = re.sub(r"^(\d+/){4}", "", text)  # states of 0.2.0 have no numbers
    document = unpacker.decompress(base64.b64decode(packed, validate=True), LARGEST_PAYLOAD)
    if not unpacker.eof:
        raise ValueError(f"it is cut off, or longer than {LARGEST_PAYLOAD} bytes")
    return document


def _copied(path: Path, room: int) -> tuple[str, dict[str, str]]:
    """Return a file's name by hash, and what the state holds of it: a copy if that has at most `room` bytes."""
    data = path.read_bytes()
    copy = {"data": base64.b64encode(data).decode("ascii")} if len(data) <= room else {}
    return token_of(path), {"path": str(path)} | copy


def _found(token: str, file: Mapping[str, Any]) -> Path | None:
    """Return where the file of that hash is now: where it was, or its copy, written if need be."""
    kept = HashedFiles(cache_folder() / "project-files")
    return kept.found(token, Path(file["path"])) or kept.keep(
        token, [base64.b64decode(file.get("data", ""), validate=True)]
    )
