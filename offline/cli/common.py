"""What the commands share: options, and the checks of their values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gramophone.models.parameters import Parameter
    from gramophone.offline.cluster.choice import EngineChoice
    from gramophone.presets import Preset


def _preset_names() -> list[str]:
    from gramophone.presets import names

    return names()


PresetOption = Annotated[
    str,
    typer.Option(
        "--preset", metavar="P", help="Preset by name, or a .toml or .gramophone file.", autocompletion=_preset_names
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.PARAM=VALUE", help="Set a parameter; may be repeated.")
]
DeviceOption = Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda or mps.")]
EngineOption = Annotated[str, typer.Option(metavar="local|ray", help="What does the work: this machine, or a cluster.")]
AddressOption = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="With --engine ray: a cluster's address; else one of this machine.")
]
GpusOption = Annotated[
    float, typer.Option(min=0.0, metavar="G", help="With --engine ray: how much of a GPU each call takes, such as 0.5.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]
AgreeOption = Annotated[bool, typer.Option("--agree", help="Agree to the licences that are shown.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

PACK_SUFFIX = ".gramophone"
"""Of a preset with its clips and models as one file."""


def checked_preset(name: str, settings: list[str] | None, option: str = "--preset", *, agreed: bool = False) -> Preset:
    """Return a preset by name or path, or that of a pack, complete with all its values, those of `settings` included.

    `agreed`: the licences of a pack's models are agreed to on the command line.

    Raises:
        BadParameter: there is no such preset, or a setting does not fit it.
        PresetError: the file is no preset.
    """
    from gramophone.presets import PresetError, load, names
    from gramophone.realtime.parameter_table import complete, overridden, table

    if name.endswith(PACK_SUFFIX):
        from gramophone.offline.commands.pack import open_pack

        preset = open_pack(Path(name), agreed=agreed)
    elif name.endswith(".toml") or name in names():
        preset = load(name)
    else:
        hint = f"a .toml or {PACK_SUFFIX} file or one of {', '.join(names())}"
        raise typer.BadParameter(f"no preset {name!r}; expected {hint}", param_hint=option)
    if not settings:
        return complete(preset)
    try:
        knobs = table(preset)
        return complete(overridden(preset, [_rooted(setting, knobs) for setting in settings]))
    except PresetError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from None


def engine_choice(engine: str, address: str, jobs: int | None, gpus: float) -> EngineChoice:
    """Return what runs the calls.

    Raises:
        BadParameter: there is no such engine, or an option goes with another one.
    """
    from gramophone.offline.cluster.choice import ENGINES, EngineChoice

    demand_choice(engine, ENGINES, "--engine")
    if engine == "local" and (address or gpus):
        raise typer.BadParameter("goes with --engine ray", param_hint="--address" if address else "--gpus")
    return EngineChoice(engine, address, jobs or 0, gpus)


def demand_result(out: Path, *inputs: Path | None, endings: Sequence[str] = (), overwrite: bool) -> None:
    """Check that a result can be written under this name, and that it replaces no input and nothing that is there.

    `endings` are those that the name may have, of sounds unless given. To `overwrite` is to replace what is there.

    Raises:
        BadParameter: it names no format that can be written, or an input.
        ResultError: it is there already, or its folder is not.
    """
    from gramophone.offline.results import demand_new
    from gramophone.realtime.files import EXTENSIONS

    expected = tuple(endings or EXTENSIONS)
    if (out.suffix if endings else out.suffix.lower()) not in expected or out.is_dir():
        raise typer.BadParameter(f"{out}: expected a file of {', '.join(expected)}", param_hint="--out")
    for file in filter(None, inputs):
        if os.path.realpath(file) == os.path.realpath(out):
            raise typer.BadParameter(f"{out} is the input itself; expected another file", param_hint="--out")
    demand_new([out], overwrite=overwrite)


def demand_choice(value: str, choices: tuple[str, ...] | list[str], option: str) -> None:
    """Check that an option has one of its values.

    Raises:
        BadParameter: it has another one.
    """
    if value not in choices:
        raise typer.BadParameter(f"{value!r}: expected one of {', '.join(choices)}", param_hint=option)


def _rooted(setting: str, knobs: Mapping[str, Parameter]) -> str:
    """Make a file name in a setting absolute: on the command line it is relative to the current folder."""
    address, _, text = setting.partition("=")
    knob = knobs.get(address)
    names_file = knob is not None and isinstance(knob.default, str) and not knob.choices
    try:
        is_file = bool(names_file and text) and Path(text).is_file()
    except OSError:  # longer than any file's name
        is_file = False
    return f"{address}={Path(text).resolve()}" if is_file else setting
