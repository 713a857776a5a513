"""Enrolled voices by name: small files in the user's own folder, beside the presets, which others can be given."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gramophone.presets.bin import Bin

SUFFIX = ".voice"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def user_folder() -> Path:
    """Return the user's own folder of Gramophone (XDG Base Directory specification); it need not be there yet."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "gramophone"


def voice_file(name: str) -> Path:
    """Return the file that a voice of this name has, there or not."""
    return user_folder() / "voices" / f"{name}{SUFFIX}"


def set_aside(name: str) -> Path | None:
    """Move the voice of this name to the bin, where there is one; return the folder that it lies in now.

    Raises:
        OSError: it cannot be moved.
    """
    path = voice_file(name)
    if not path.is_file():
        return None
    earlier = Bin(path.parent / "bin")
    earlier.put(path)
    earlier.tidy()
    return earlier.folder


def voice_names() -> list[str]:
    """Return the names of the user's own voices."""
    found = (user_folder() / "voices").glob(f"*{SUFFIX}")
    return sorted(path.stem for path in found if _NAME.fullmatch(path.stem) and path.is_file())


def found_voice(name: str) -> Path | None:
    """Return the file of the user's own voice of exactly this name, or None if there is none."""
    return voice_file(name) if name in voice_names() else None
