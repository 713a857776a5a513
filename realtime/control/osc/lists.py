"""What the library keeps in the user's own folder: the set list of a gig, the favourites, and snapshots.

A list is one text over OSC, its names between commas: `hall, stack, choir`. Snapshots are what played when they were
kept, under the numbers 1 to 8: preset files in `snapshots` beside the presets, each called by its number and its
preset's name (`3-hall.toml`), so that it can be read, copied and kept as a preset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gramophone.presets import Preset, PresetError, names, own_folder, path_of, read, save
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.control.osc.method import Answer, OscMethod
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message
from gramophone.realtime.switches import SNAPSHOTS

SET_LIST, FAVOURITES = "setlist", "favourites"
_DESCRIPTIONS = {
    SET_LIST: "presets in the order of a gig, which next and previous go through; none: all presets",
    FAVOURITES: "presets that are marked",
}
_MOST_NAMES = 500
_SNAPSHOT = re.compile(rf"([1-{SNAPSHOTS}])-([a-z0-9][a-z0-9-]{{0,63}})\.toml")


class PresetLists:
    """Lists of presets by name, in a file, which `disk` writes; `report` gets a sentence where that fails.

    Any thread may call.
    """

    def __init__(self, disk: Executor, report: Callable[[str], None]) -> None:
        self._disk, self._report = disk, report
        self._lists = _read_lists(lists_file())

    def __getitem__(self, which: str) -> tuple[str, ...]:
        """Return the names of a list, `SET_LIST` or `FAVOURITES`."""
        return self._lists[which]

    def put(self, which: str, names: Sequence[str]) -> None:
        """Replace a list, and write all to the disk."""
        self._lists = {**self._lists, which: tuple(names)}
        self._disk.submit(self._write, dict(self._lists))

    def _write(self, lists: dict[str, tuple[str, ...]]) -> None:
        path = lists_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as part:
                part.write_text(json.dumps(lists, indent=1) + "\n", "utf-8")
        except OSError as error:
            self._report(f"the lists of presets are not kept: {error.strerror}")


class ListMethod(OscMethod):
    """One of the lists."""

    types = "s"

    def __init__(
        self, path: str, which: str, lists: PresetLists, known: Callable[[], list[str]], changed: Callable[[], None]
    ) -> None:
        super().__init__(path, path, _DESCRIPTIONS[which])
        self._which, self._lists, self._known, self._changed = which, lists, known, changed

    def check(self, message: Message) -> list[str]:
        """Return the names."""
        names = [name.strip() for name in arguments.text(message).split(",") if name.strip()]
        known = set(self._known())
        if unknown := [name for name in names if name not in known]:
            raise RefusedError("unknown preset", f"{message.address}: no preset {unknown[0][:80]!r}")
        if len(names) > _MOST_NAMES:
            raise RefusedError("refused value", f"{message.address}: more than {_MOST_NAMES} names")
        return names

    def write(self, checked: list[str]) -> None:
        """Replace the list."""
        self._lists.put(self._which, checked)
        self._changed()

    def read(self) -> Answer:
        """Return the names, between commas."""
        return (", ".join(self._lists[self._which]),)


def list_methods(
    root: str, lists: PresetLists, known: Callable[[], list[str]], changed: Callable[[], None]
) -> Iterator[OscMethod]:
    """Yield the methods of both lists; `known` returns all presets, `changed` is called after a list has changed."""
    for which in _DESCRIPTIONS:
        yield ListMethod(f"{root}/{which}", which, lists, known, changed)


def lists_file() -> Path:
    """Return the file of the lists, beside the folder of the user's presets."""
    return own_folder().parent / "lists.json"


def _read_lists(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the lists of a file; what is missing or broken there is an empty list."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        found = {}
    lists = found if isinstance(found, dict) else {}
    return {which: tuple(_texts(lists.get(which))) for which in _DESCRIPTIONS}


def _texts(found: object) -> list[str]:
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


class Snapshots(MutableMapping[str, Preset]):
    """The snapshots by name, `snapshot-1` and so on; those of earlier sessions are read when they are asked for.

    `disk` runs what writes; `report` is called with a sentence where that fails. Any thread may call.
    """

    def __init__(self, disk: Executor, report: Callable[[str], None]) -> None:
        self._disk, self._report = disk, report
        self._known: dict[str, Preset | Path] = dict(_snapshot_files())

    def __getitem__(self, name: str) -> Preset:
        """Return a snapshot; one of an earlier session as it was written, so not `complete`.

        Raises:
            KeyError: there is none of this name.
            PresetError: its file is no preset any more.
        """
        found = self._known[name]
        if isinstance(found, Path):
            found = self._known[name] = _read_snapshot(found)
        return found

    def __setitem__(self, name: str, preset: Preset) -> None:
        """Keep a preset as snapshot `name`, in place of the one before."""
        self._known[name] = preset
        self._disk.submit(self._write, name, preset)

    def __delitem__(self, name: str) -> None:
        """Forget a snapshot for good."""
        del self._known[name]
        self._disk.submit(_remove_snapshot, name)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._known))

    def __len__(self) -> int:
        return len(self._known)

    def _write(self, name: str, preset: Preset) -> None:
        path = snapshots_folder() / f"{name.removeprefix('snapshot-')}-{preset.name}.toml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(preset, path)
            _remove_snapshot(name, but=path)
        except (OSError, PresetError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error).replace(f"{path}: ", "")
            self._report(f"{name} is not kept for the next session: {why}")


def snapshots_folder() -> Path:
    """Return the folder of the snapshots, beside the user's presets; it need not be there yet."""
    return own_folder().parent / "snapshots"


def _snapshot_files() -> Iterator[tuple[str, Path]]:
    """Yield the snapshots that are kept: name and file."""
    for path in sorted(snapshots_folder().glob("*.toml")):
        if found := _SNAPSHOT.fullmatch(path.name):
            yield f"snapshot-{found[1]}", path


def _read_snapshot(path: Path) -> Preset:
    """Return a snapshot under the name of the preset that it was made of."""
    name = path.stem.partition("-")[2]
    return replace(read(path), name=name, path=path_of(name) if name in names() else None)


def _remove_snapshot(name: str, but: Path | None = None) -> None:
    """Remove the files of a snapshot, `but` one."""
    for each, path in list(_snapshot_files()):
        if each == name and path != but:
            with suppress(OSError):
                path.unlink()
