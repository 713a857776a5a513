"""Finding plug-ins: the standard folders of each platform, and a plug-in in them by name.

Nothing is loaded here; a plug-in's name is its file's until `describe` has read it.

Descriptions of plug-ins, read in a child process with a timeout and cached until the plug-in changes.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from gramophone.presets.atomic import atomic_write
from gramophone.realtime.stages.plugins.child_main import PluginSource, describe_in_child
from gramophone.realtime.stages.plugins.child_process import PluginProcess
from gramophone.realtime.stages.plugins.description import Description, PluginError, PluginFailedError
from gramophone.realtime.system.cache_folder import cache_folder

_SUFFIXES = {".vst3": "VST3", ".component": "Audio Unit"}


@dataclass(frozen=True)
class Installed:
    """A plug-in in the standard folders: its name in presets, its format, and its file or bundle."""

    name: str
    format: str
    path: Path


def folders(platform: str = sys.platform, environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the folders in which plug-ins are installed on a platform, the user's own first."""
    home = Path.home()
    if platform == "darwin":
        places = [root / "Library/Audio/Plug-Ins" for root in (home, Path("/"))]
        return [place / kind for kind in ("VST3", "Components") for place in places]
    if platform == "win32":
        own = Path(environment.get("LOCALAPPDATA", home / "AppData/Local")) / "Programs/Common"
        return [own / "VST3", Path(environment.get("COMMONPROGRAMFILES", "C:/Program Files/Common Files")) / "VST3"]
    shared = [Path("/usr/local/lib/vst3"), Path("/usr/lib/vst3"), Path("/usr/lib64/vst3")]
    return [home / ".vst3", *shared, *sorted(Path("/usr/lib").glob("*-linux-*/vst3"))]


def installed(places: list[Path] | None = None) -> list[Installed]:
    """Return the plug-ins in `places` (default: the standard folders) by name; the first of a name is the one used."""
    found: dict[str, Installed] = {}
    for place in folders() if places is None else places:
        for path in _bundles(place):
            found.setdefault(path.stem.lower(), Installed(path.stem, _SUFFIXES[path.suffix.lower()], path))
    return sorted(found.values(), key=lambda plugin: plugin.name.lower())


def is_path(plugin: str) -> bool:
    """Return whether a preset's `plugin` is a path rather than a name."""
    return "/" in plugin or "\\" in plugin or Path(plugin).suffix.lower() in _SUFFIXES


def find(plugin: str, places: list[Path] | None = None) -> Path:
    """Return the file or bundle of a plug-in given by name (in any case) or by path.

    Raises:
        PluginError: there is none; the message names the nearest ones.
    """
    if is_path(plugin):
        path = Path(plugin).expanduser()
        if not path.exists():
            raise PluginError(f"plugin = {plugin!r}: no such file")
        return path
    known = installed(places)
    for one in known:
        if one.name.lower() == plugin.lower():
            return one.path
    names = [one.name for one in known]
    near = difflib.get_close_matches(plugin, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {len(names)} in the standard plug-in folders"
    raise PluginError(f"plugin = {plugin!r}: no plug-in of that name is installed; {hint}")


def stamp(path: Path) -> int:
    """Return when a plug-in last changed, in ns: of a bundle, the newest of its binaries."""
    binaries = [*path.glob("Contents/*/*")] if path.is_dir() else []
    return max(one.stat().st_mtime_ns for one in [path, *binaries])


def _bundles(folder: Path) -> Iterator[Path]:
    """Yield the plug-ins below a folder, vendors' subfolders too; never looks into a bundle."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.suffix.lower() in _SUFFIXES:
            yield entry
        elif entry.is_dir() and not entry.is_symlink():
            yield from _bundles(entry)


_FORM = 1
"""Increased when the format of cached descriptions changes."""

_RETRY_S = 600.0
_FAILED: dict[str, str] = {}
"""Why plug-ins failed, so that none delays the player twice: for the life of this process. Other processes read the
same from the cache for `_RETRY_S` seconds.
"""


def describe(name: str, source: PluginSource, load_s: float = 10.0) -> Description:
    """Return a plug-in's description, from the cache if the plug-in has not changed.

    Raises:
        PluginError: the plug-in does not fit the preset; the message says what to change.
        PluginFailedError: it did not load within `load_s` seconds, or crashed, now or within the last ten minutes.
    """
    key = _key(source)
    cached, failure_file = cache_folder("plugins", f"{key}.json"), cache_folder("plugins", f"{key}-{load_s:g}.failed")
    if reason := _failed(failure_file):
        raise PluginFailedError(reason)
    with suppress(OSError, ValueError, KeyError, TypeError):
        return Description.from_dict(json.loads(cached.read_text("utf-8")))
    try:
        description = _query(name, source, load_s)
    except PluginFailedError as failure:
        _FAILED[failure_file.name] = str(failure)
        _write(failure_file, str(failure))
        raise
    _write(cached, json.dumps(description.as_dict()))
    return description


def _failed(failure_file: Path) -> str:
    """Return why a plug-in failed; empty if it did not, or too long ago."""
    with suppress(OSError):
        if time.time() - failure_file.stat().st_mtime < _RETRY_S:
            return _FAILED.get(failure_file.name) or failure_file.read_text("utf-8")
    return _FAILED.get(failure_file.name, "")


def _query(name: str, source: PluginSource, load_s: float) -> Description:
    with closing(PluginProcess(name, describe_in_child, source)) as child:
        child.wait_until_up()
        description: Description = child.expect(load_s, "loading")
    return description


def _key(source: PluginSource) -> str:
    path = Path(source.path)
    words = (_FORM, version("pedalboard"), path.resolve(), stamp(path), source.plugin_name)
    return hashlib.sha256("\n".join(map(str, words)).encode() + source.state).hexdigest()[:32]


def _write(path: Path, text: str) -> None:
    """Write whole or not at all, as another process may read at the same time; what cannot be kept is asked again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            part.write_text(text, "utf-8")
