"""`gramophone bridge`: builds the plug-in with DPF, installs it where hosts look, and says which engine it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_config_path

from gramophone.offline.commands.dpf import DpfError, describe, extend
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.bridge.preset_numbers import numbered_presets, numbers_file

NAMES = {"Gramophone": 2, "GramophoneMono": 1}
"""The channels of each plug-in by its file name."""
DPF = Path("/usr/share/dpf")
SOURCES = Path(__file__).parents[2] / "realtime" / "bridge" / "native"
_FOLDERS = {"VST3": (".vst3", "vst3"), "LV2": (".lv2", "lv2"), "CLAP": (".clap", "clap")}
"""The folder below the user's home that hosts search, and the ending of the plug-in, by format."""


class BridgeError(RuntimeError):
    """The plug-in cannot be built or installed; the message says what is missing and where to get it."""


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
    """Return the file that tells the plug-in how to start an engine, a word a line."""
    return user_config_path("gramophone") / "bridge.command"


def install(dpf: Path | None = None) -> list[InstalledBridge]:
    """Build the plug-in and install every format of it for this user; return what is there now.

    `dpf` is the folder of the DISTRHO Plugin Framework (None: `DPF_PATH`, else where Debian's dpf-source puts it).

    Raises:
        BridgeError: a compiler or DPF is missing, or the build fails.
    """
    numbered_presets()  # the plug-in shows their names
    with tempfile.TemporaryDirectory(prefix="gramophone-bridge-") as folder:
        built = build(Path(folder), dpf or Path(os.environ.get("DPF_PATH", DPF)))
        for place in status():
            _replace(built / place.path.name, place.path)
    command_file().parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "gramophone.realtime.bridge.engine_process"]
    with atomic_write(command_file()) as part:
        part.write_text("\n".join(words) + "\n", "utf-8")
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


def build(folder: Path, dpf: Path) -> Path:
    """Build all formats in an empty `folder`; return the folder below it that holds them.

    Raises:
        BridgeError: a compiler or DPF is missing, or the build fails.
    """
    for program in ("make", "c++"):
        if not shutil.which(program):
            raise BridgeError(f"{program} is missing, the plug-in is compiled here: apt install build-essential")
    if not (dpf / "Makefile.plugins.mk").exists():
        raise BridgeError(f"{dpf}: no DISTRHO Plugin Framework; on Debian: apt install dpf-source, or set DPF_PATH")
    shutil.copytree(SOURCES, folder / "native")
    shutil.copytree(dpf, folder / "dpf")
    try:
        extend(folder / "dpf")
        _run(["make", "-C", str(folder / "dpf" / "utils" / "lv2-ttl-generator")])
        for name, channels in NAMES.items():
            _build(folder, name, channels)
    except DpfError as error:
        raise BridgeError(str(error)) from None
    return folder / "out"


def _build(folder: Path, name: str, channels: int) -> None:
    """Build the plug-in for so many channels in all formats."""
    out, objects, dpf = folder / "out", folder / f"objects-{channels}", folder / "dpf"
    settings = {"DPF_PATH": dpf, "DPF_TARGET_DIR": out, "DPF_BUILD_DIR": objects, "NAME": name, "CHANNELS": channels}
    _run(["make", "-C", str(folder / "native"), *(f"{key}={value}" for key, value in settings.items()), "--jobs=2"])
    bundle = out / f"{name}.lv2"
    _run([str(dpf / "utils" / "lv2_ttl_generator"), f"./{name}_dsp.so"], bundle)
    describe(bundle / f"{name}_dsp.ttl")


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise BridgeError(f"the build failed at `{Path(command[0]).name}`:\n{last}")


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
