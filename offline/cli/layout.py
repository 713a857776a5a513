"""`gramophone layout`: the controls of a preset as a session of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gramophone.offline.cli.common import JsonOption, OverwriteOption, checked_preset, demand_choice, demand_result
from gramophone.offline.console import print_json, wrote

if TYPE_CHECKING:
    from gramophone.presets import Preset

SUFFIXES = {"open-stage-control": ".json", "touchosc": ".tosc", "reaper": ".ReaperOSC"}
"""The programs, and how the names of their files end."""


class LayoutError(RuntimeError):
    """A layout cannot be written; the message names the file."""


def layout(
    program: Annotated[
        str, typer.Option("--for", metavar="PROGRAM", help="The program: open-stage-control, touchosc or reaper.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write: .json, .tosc or .ReaperOSC.")],
    preset: Annotated[str, typer.Argument(help="Preset by name, or a .toml file.")] = "default",
    host: Annotated[
        str, typer.Option(help="Open Stage Control: the machine that plays, as seen from the surface.")
    ] = "127.0.0.1",
    osc_port: Annotated[int, typer.Option(min=1, max=65535, help="Open Stage Control: its OSC port.")] = 9000,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Write a ready session for a touch surface or a DAW, with the macros and knobs of a preset."""
    demand_choice(program, list(SUFFIXES), "--for")
    demand_result(out, endings=[SUFFIXES[program]], overwrite=overwrite)
    write_layout(program, checked_preset(preset, None, "PRESET"), out, host, osc_port)
    print_json({"out": str(out)}) if json else wrote(out)


def write_layout(program: str, preset: Preset, out: Path, host: str, port: int) -> None:
    """Write a complete preset's layout for one of `SUFFIXES`; the file appears whole or not at all.

    Raises:
        LayoutError: the file cannot be written.
        PresetError: the preset does not fit the parameter table.
    """
    from gramophone.offline.layouts import open_stage_control, reaper, touchosc
    from gramophone.offline.layouts.controls import pages_of
    from gramophone.presets.atomic import atomic_write

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
