"""What the commands share: options, and the checks of their values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gramophone.presets import Preset


def _preset_names() -> list[str]:
    from gramophone.presets import names

    return names()


PresetOption = Annotated[
    str,
    typer.Option("--preset", metavar="P", help="Preset by name, or a .toml file.", autocompletion=_preset_names),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.PARAM=VALUE", help="Set a parameter; may be repeated.")
]
DeviceOption = Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda or mps.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def checked_preset(name: str, settings: list[str] | None, option: str = "--preset") -> Preset:
    """Return a preset by name or path, complete with all its values, those of `settings` included.

    Raises:
        BadParameter: there is no such preset, or a setting does not fit it.
        PresetError: the file is no preset.
    """
    from gramophone.presets import PresetError, load, names
    from gramophone.realtime.parameter_table import complete, overridden

    if not name.endswith(".toml") and name not in names():
        hint = ", ".join(names())
        raise typer.BadParameter(f"no preset {name!r}; expected a .toml file or one of {hint}", param_hint=option)
    preset = load(name)
    try:
        changed = overridden(preset, [_rooted(setting) for setting in settings or []])
    except PresetError as error:
        raise typer.BadParameter(str(error), param_hint="--set" if settings else option) from None
    return complete(changed)


def demand_sound_file(out: Path) -> None:
    """Check that a result can be written under this name.

    Raises:
        BadParameter: it names no format of sound that can be written.
    """
    from gramophone.realtime.files import EXTENSIONS

    if out.suffix.lower() not in EXTENSIONS or out.is_dir():
        raise typer.BadParameter(f"{out}: expected a file of {', '.join(EXTENSIONS)}", param_hint="--out")


def demand_choice(value: str, choices: tuple[str, ...] | list[str], option: str) -> None:
    """Check that an option has one of its values.

    Raises:
        BadParameter: it has another one.
    """
    if value not in choices:
        raise typer.BadParameter(f"{value!r}: expected one of {', '.join(choices)}", param_hint=option)


def _rooted(setting: str) -> str:
    """Make a file name in a setting absolute: on the command line it is relative to the current folder."""
    address, equals, text = setting.partition("=")
    try:
        is_file = bool(equals and text) and Path(text).is_file()
    except OSError:  # longer than any file's name
        is_file = False
    return f"{address}={Path(text).resolve()}" if is_file else setting
