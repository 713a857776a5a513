"""`gramophone tag`: the tags of sound files."""

from __future__ import annotations

from typing import Annotated

import typer

from gramophone.offline.cli.common import (
    AddressOption,
    DeviceOption,
    EngineOption,
    GpusOption,
    JsonOption,
    engine_choice,
)


def tag(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Sound files, folders or patterns.")],
    model: Annotated[
        str, typer.Option(metavar="M", help="A tagger: one that comes with Gramophone, or a file.")
    ] = "tagger",
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="T", help="Show this tag; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Without --tag: how many of the likeliest tags to show.")] = 5,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of bars.")] = False,
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
    address: AddressOption = "",
    gpus: GpusOption = 0.0,
    json: JsonOption = False,
) -> None:
    """Find the instruments, genres and moods in sound files."""
    from gramophone.offline.commands.tag import run
    from gramophone.offline.render.inputs import find_inputs
    from gramophone.realtime.kernels.executor import choose_device

    if csv and json:
        raise typer.BadParameter("goes without --json", param_hint="--csv")
    form = "json" if json else "csv" if csv else "bars"
    choice = engine_choice(engine, address, None, gpus)
    if not run(find_inputs(inputs), model, tags or (), top, form, choose_device(device), choice):
        raise typer.Exit(1)
