"""Descriptions of plug-ins, read in a child process with a timeout and cached until the plug-in changes."""

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
