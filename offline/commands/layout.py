"""`gramophone layout`: a preset's controls as a session of another program."""

from __future__ import annotations

from pathlib import Path

from gramophone.offline.layouts import open_stage_control, reaper, touchosc
from gramophone.offline.layouts.controls import pages_of
from gramophone.presets import Preset
from gramophone.presets.atomic import atomic_write

SUFFIXES = {"open-stage-control": ".json", "touchosc": ".tosc", "reaper": ".ReaperOSC"}
"""The programs, and how the names of their files end."""


class LayoutError(RuntimeError):
    """A layout cannot be written; the message names the file."""


def write_layout(program: str, preset: Preset, out: Path, host: str, port: int) -> None:
    """Write a complete preset's layout for one of `SUFFIXES`; the file appears whole or not at all.

    Raises:
        LayoutError: the file cannot be written.
        PresetError: the preset does not fit the parameter table.
    """
    title, pages = preset.title or preset.name, pages_of(preset)
    if program == "touchosc":
        data = touchosc.tosc(title, pages)
    elif program == "reaper":
        data = reaper.pattern_file(title, pages).encode()
    else:
        data = open_stage_control.session(title, pages, host, port).encode()
    try:
        with atomic_write(out) as part:
            part.write_bytes(data)
    except OSError as error:
        raise LayoutError(f"{out}: cannot be written: {error.strerror}") from None
