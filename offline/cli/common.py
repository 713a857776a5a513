"""What the commands share: options, and how they speak to people and to programs."""

from __future__ import annotations

import json as json_format
import sys
from typing import Annotated, Any

import typer

PresetOption = Annotated[str, typer.Option("--preset", metavar="P", help="Preset by name, or a .toml file.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.PARAM=VALUE", help="Turn a knob; may be repeated.")
]
DeviceOption = Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda or mps.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def say(text: str) -> None:
    """Print a line for people, apart from results."""
    print(text, file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a result for programs, on one line."""
    print(json_format.dumps(value), flush=True)
