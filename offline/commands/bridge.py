"""`gramophone bridge`: builds the plug-in with DPF, installs it where hosts look, and says which engine it starts."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_config_path

from gramophone.offline.commands.dpf import DPF, NAMES, SOURCES, build, describe, missing
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.bridge.preset_numbers import numbered_presets, numbers_file

_PREBUILT = SOURCES.with_name("prebuilt")
"""What a wheel holds that was built where there was a compiler."""
_FOLDERS = {"VST3": (".vst3", "vst3"), "LV2": (".lv2", "lv2"), "CLAP": (".clap", "clap")}
"""The folder below the user's home that hosts search, and the ending of the plug-in, by format."""


@dataclass(frozen=True)
class InstalledBridge:
    """One format of the plug-in: where it belongs, and whether it is there."""

    format: str
    path: Path
    there: bool


def status() -> list[InstalledBridge]:
    """Return where each format of the plug-in belongs for this user, and whether it is there."""
    places = [
        (kind, Path.home() / folder / f"{name}.{ending}")
        for kind, (folder, ending) in _FOLDERS.items()
        for name in NAMES
    ]
    return [InstalledBridge(kind, path, path.exists()) for kind, path in places]


def command_file() -> Path:
    """Return the script by which the plug-in starts an engine."""
    return user_config_path("gramophone") / "bridge.command"


def command(words: Sequence[str]) -> str:
    """Return the script that starts an engine by these words and ends at once, or fails if there is no such program."""
    return f"command -v {shlex.quote(words[0])} >/dev/null || exit 1\n{shlex.join(words)} </dev/null &\n"


def install(dpf: Path | None = None) -> list[InstalledBridge]:
    """Install every format of the plug-in for this user; return what is there now.

    It is built with `dpf`, the folder of the DISTRHO Plugin Framework (None: `DPF_PATH`, else where Debian's dpf-source
    puts it). Where that or a compiler is missing, a wheel's own build is taken, if it has one.

    Raises:
        BridgeError: a compiler or DPF is missing and there is no other build, or the build fails.
    """
    dpf = dpf or Path(os.environ.get("DPF_PATH", DPF))
    numbered_presets()  # the plug-in shows their names
    with tempfile.TemporaryDirectory(prefix="gramophone-bridge-") as folder:
        if missing(dpf) and _PREBUILT.is_dir():
            built = Path(shutil.copytree(_PREBUILT, Path(folder) / "out"))
        else:
            built = build(Path(folder), dpf)
        describe(built)
        for place in status():
            _replace(built / place.path.name, place.path)
    command_file().parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "gramophone.realtime.bridge.engine_process"]
    with atomic_write(command_file()) as part:
        part.write_text(command(words), "utf-8")
    return status()


def remove() -> list[Path]:
    """Remove every format of the plug-in and what it starts; return what was removed."""
    there = [place.path for place in status() if place.there]
    for path in there:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (command_file(), numbers_file()):
        if path.exists():
            path.unlink()
            there.append(path)
    return there


def _replace(built: Path, target: Path) -> None:
    """Put a built plug-in in place of an older one, which a running host may still have open."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    for left in (new, old):
        if left.exists():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    shutil.copytree(built, new) if built.is_dir() else shutil.copy2(built, new)
    if target.exists():
        target.rename(old)
    new.rename(target)
    if old.exists():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
