"""Snapshots: what played when it was kept, under the numbers 1 to 8, from one session to the next.

They lie in `snapshots` beside the user's presets, each a preset file called by its number and its preset's name
(`3-hall.toml`), so that it can be read, copied and kept as a preset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gramophone.presets import Preset, PresetError, names, own_folder, path_of, read, save
from gramophone.realtime.switches import SNAPSHOTS

_FILE = re.compile(rf"([1-{SNAPSHOTS}])-([a-z0-9][a-z0-9-]{{0,63}})\.toml")


class Snapshots(MutableMapping[str, Preset]):
    """The snapshots by name, `snapshot-1` and so on; those of earlier sessions are read when they are asked for.

    `disk` runs what writes; `report` is called with a sentence where that fails. Any thread may call.
    """

    def __init__(self, disk: Executor, report: Callable[[str], None]) -> None:
        self._disk, self._report = disk, report
        self._known: dict[str, Preset | Path] = dict(_files())

    def __getitem__(self, name: str) -> Preset:
        """Return a snapshot; one of an earlier session as it was written, so not `complete`.

        Raises:
            KeyError: there is none of this name.
            PresetError: its file is no preset any more.
        """
        found = self._known[name]
        if isinstance(found, Path):
            found = self._known[name] = _read(found)
        return found

    def __setitem__(self, name: str, preset: Preset) -> None:
        """Keep a preset as snapshot `name`, in place of the one before."""
        self._known[name] = preset
        self._disk.submit(self._write, name, preset)

    def __delitem__(self, name: str) -> None:
        """Forget a snapshot for good."""
        del self._known[name]
        self._disk.submit(_remove, name)

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
            _remove(name, but=path)
        except (OSError, PresetError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error).replace(f"{path}: ", "")
            self._report(f"{name} is not kept for the next session: {why}")


def snapshots_folder() -> Path:
    """Return the folder of the snapshots, beside the user's presets; it need not be there yet."""
    return own_folder().parent / "snapshots"


def _files() -> Iterator[tuple[str, Path]]:
    """Yield the snapshots that are kept: name and file."""
    for path in sorted(snapshots_folder().glob("*.toml")):
        if found := _FILE.fullmatch(path.name):
            yield f"snapshot-{found[1]}", path


def _read(path: Path) -> Preset:
    """Return a snapshot under the name of the preset that it was made of."""
    name = path.stem.partition("-")[2]
    return replace(read(path), name=name, path=path_of(name) if name in names() else None)


def _remove(name: str, but: Path | None = None) -> None:
    """Remove the files of a snapshot, `but` one."""
    for each, path in list(_files()):
        if each == name and path != but:
            with suppress(OSError):
                path.unlink()
