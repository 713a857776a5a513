"""The library: the presets and clips that the network may request, by name and never by path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from gramophone.presets import CLIPS, Preset, PresetError, is_own, names, path_of, read
from gramophone.presets.clips import clip_called, own_clips, shown_name
from gramophone.realtime.control.osc.lists import SET_LIST, PresetLists, Snapshots
from gramophone.realtime.osc.arguments import RefusedError

FIRST_WAY = ("snapshot-1", "snapshot-2")
"""Between what a morph moves as long as nothing has been chosen."""


class _Read(NamedTuple):
    """A preset of the library, and when its file was written, in ns."""

    preset: Preset
    written: int


class Library:
    """All presets, `extra` ones (such as the one that play began with), the bundled clips, and the user's own.

    `report` may be set, and gets a sentence where lists or snapshots cannot be written. Only `close` waits for that.
    """

    def __init__(self, extra: Iterable[Preset] = ()) -> None:
        self._extra = {preset.name: preset for preset in extra if not _is_in_library(preset)}
        self._clips = {clip.name: clip for clip in sorted(CLIPS.iterdir())}
        self._read: dict[str, _Read] = {}
        self.report: Callable[[str], None] = _ignore
        self._disk = ThreadPoolExecutor(1, "library")
        self.snapshots = Snapshots(self._disk, lambda why: self.report(why))
        """What has been kept of performances, by name, `snapshot-1` and so on."""
        self.lists = PresetLists(self._disk, lambda why: self.report(why))
        """The set list and the favourites."""

    def close(self) -> None:
        """Finish writing."""
        self._disk.shutdown()

    @property
    def presets(self) -> list[str]:
        """The presets by name, in alphabetical order."""
        return sorted({*names(), *self._extra})

    @property
    def steps(self) -> list[str]:
        """The presets that next and previous go through: those of the set list or, if it is empty, all."""
        there = set(self.presets)
        return [name for name in self.lists[SET_LIST] if name in there] or self.presets

    def catalogue(self) -> list[dict[str, object]]:
        """Return what there is to know of each preset by its name: title, description, tags, whether it is the user's.

        A preset whose file cannot be read has its name alone.
        """
        return [self._entry(name) for name in self.presets]

    def _entry(self, name: str) -> dict[str, object]:
        try:
            preset = self.preset(name)
        except (PresetError, RefusedError):
            return {"name": name, "title": name, "description": "cannot be read", "tags": [], "own": True, "stages": []}
        return {
            "name": name,
            "title": preset.title or name,
            "description": preset.description,
            "tags": list(preset.tags),
            "own": is_own(preset),
            "stages": [stage.kind for stage in preset.stages],
        }

    @property
    def clips(self) -> list[str]:
        """The clips by name: the bundled ones in alphabetical order, then the user's own likewise."""
        return [*self._clips, *own_clips()]

    def preset(self, name: str) -> Preset:
        """Return a preset, or a snapshot, by name.

        Raises:
            RefusedError: there is none of this name.
            PresetError: its file is no preset any more.
        """
        if name in self.snapshots:
            return self.snapshots[name]
        known = self._read.get(name)
        if known and _written(known) == known.written:  # a morph reads the same ones again and again
            return known.preset
        if name in names():
            path = path_of(name)
            self._read[name] = _Read(read(path), path.stat().st_mtime_ns)
            return self._read[name].preset
        if name not in self._extra:
            raise RefusedError("unknown preset", f"preset {name[:80]!r}: expected one of {', '.join(self.presets)}")
        return self._extra[name]

    def clip(self, name: str) -> str:
        """Return the file of a clip by name; "" is none.

        Raises:
            RefusedError: there is none of this name.
        """
        if not name:
            return ""
        if name in self._clips:
            return str(self._clips[name].resolve())
        if clip := clip_called(name):
            return str(clip.file)
        raise RefusedError("unknown clip", f"clip {name[:80]!r}: expected one of {', '.join(self.clips)}")


def _ignore(_: str) -> None:
    """Report nothing."""


def _written(known: _Read) -> int | None:
    """Return when a preset's file was written last; None if it is gone."""
    try:
        return known.preset.path.stat().st_mtime_ns if known.preset.path else None
    except OSError:
        return None


def _is_in_library(preset: Preset) -> bool:
    return preset.name in names() and preset.path == path_of(preset.name)


def shown(file: str) -> str:
    """Return what the network may see of a file: its name, not where it lies."""
    return shown_name(file)
