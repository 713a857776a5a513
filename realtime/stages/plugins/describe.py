"""Asking a plug-in what it has, in a child process with a time limit; the answer is kept until the plug-in changes."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from gramophone.presets.atomic import atomic_write
from gramophone.realtime.stages.plugins.child_main import PluginSource, describe_in_child
from gramophone.realtime.stages.plugins.child_process import PluginProcess
from gramophone.realtime.stages.plugins.description import Description
from gramophone.realtime.stages.plugins.errors import PluginFailedError
from gramophone.realtime.stages.plugins.scan import stamp
from gramophone.realtime.system.cache_folder import cache_folder

_FORM = 1
"""Raised when what is kept changes its form."""

_GRACE_S = 600.0
_FAILED: dict[str, str] = {}
"""What plug-ins died of, so that none keeps a player waiting twice: for the life of this process; other processes
read the same from the cache for `_GRACE_S` seconds."""


def describe(name: str, source: PluginSource, load_s: float = 10.0) -> Description:
    """Return what the plug-in says of itself; of one that has not changed, what it said before.

    Raises:
        PluginError: the plug-in cannot be what is meant; the message says what to change.
        PluginFailedError: it did not load within `load_s` seconds, or crashed; now or a while ago.
    """
    key = _key(source)
    kept, grave = cache_folder("plugins", f"{key}.json"), cache_folder("plugins", f"{key}-{load_s:g}.failed")
    if reason := _failed(grave):
        raise PluginFailedError(reason)
    with suppress(OSError, ValueError, KeyError, TypeError):
        return Description.from_dict(json.loads(kept.read_text("utf-8")))
    try:
        description = _ask(name, source, load_s)
    except PluginFailedError as failure:
        _FAILED[grave.name] = str(failure)
        _write(grave, str(failure))
        raise
    _write(kept, json.dumps(description.as_dict()))
    return description


def _failed(grave: Path) -> str:
    """Return what a plug-in died of; empty if it did not, or too long ago."""
    with suppress(OSError):
        if time.time() - grave.stat().st_mtime < _GRACE_S:
            return _FAILED.get(grave.name) or grave.read_text("utf-8")
    return _FAILED.get(grave.name, "")


def _ask(name: str, source: PluginSource, load_s: float) -> Description:
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
