"""The shelf: the presets and clips that may be asked for over a network, by name and never by path."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from gramophone.presets import CLIPS, Preset, load, names
from gramophone.presets.preset import FACTORY
from gramophone.realtime.osc.faults import RefusedError


class Shelf:
    """The factory presets, `extra` ones (say the one that play began with), and the bundled clips."""

    def __init__(self, extra: Iterable[Preset] = ()) -> None:
        self._factory = names()
        self._extra = {preset.name: preset for preset in extra if not _is_factory(preset)}
        self._clips = {clip.name: clip for clip in sorted(CLIPS.iterdir())}
        self._load = functools.cache(load)

    @property
    def presets(self) -> list[str]:
        """The presets by name, in alphabetical order."""
        return sorted({*self._factory, *self._extra})

    @property
    def clips(self) -> list[str]:
        """The clips by name, in alphabetical order."""
        return list(self._clips)

    def preset(self, name: str) -> Preset:
        """Return a preset by name.

        Raises:
            RefusedError: it is not on the shelf.
        """
        if name in self._extra:
            return self._extra[name]
        if name not in self._factory:
            raise RefusedError("unknown preset", f"preset {name[:80]!r}: expected one of {', '.join(self.presets)}")
        return self._load(name)

    def clip(self, name: str) -> str:
        """Return the file of a clip by name; "" is none.

        Raises:
            RefusedError: it is not on the shelf.
        """
        if name and name not in self._clips:
            raise RefusedError("unknown clip", f"clip {name[:80]!r}: expected one of {', '.join(self.clips)}")
        return str(self._clips[name].resolve()) if name else ""


def _is_factory(preset: Preset) -> bool:
    return preset.path is not None and preset.path.resolve().parent == FACTORY.resolve()


def shown(file: str) -> str:
    """Return what the network may see of a file: its name, not where it lies."""
    return Path(file).name
