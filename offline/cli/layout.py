"""`gramophone layout`: the controls of a preset as a session for another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramophone.offline.cli.common import JsonOption, checked_preset, demand_choice
from gramophone.offline.console import print_json, wrote

_PROGRAMS = ("open-stage-control", "touchosc", "reaper")


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
    json: JsonOption = False,
) -> None:
    """Write a ready session for a touch surface or a DAW, with the macros and knobs of a preset."""
    demand_choice(program, _PROGRAMS, "--for")
    from gramophone.offline.commands.layout import SUFFIXES, write_layout

    if out.suffix != SUFFIXES[program] or out.is_dir():
        raise typer.BadParameter(f"{out}: expected a name that ends in {SUFFIXES[program]}", param_hint="--out")
    write_layout(program, checked_preset(preset, None, "PRESET"), out, host, osc_port)
    print_json({"out": str(out)}) if json else wrote(out)
