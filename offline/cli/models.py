"""`gramophone models` and `gramophone export`: the trained models, and how they leave for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gramophone.offline.cli.command_group import CommandGroup, OnDemandGroup
from gramophone.offline.cli.common import (
    PACK_SUFFIX,
    AgreeOption,
    JsonOption,
    OverwriteOption,
    SetOption,
    checked_preset,
    demand_choice,
    demand_result,
)
from gramophone.offline.console import add_row, new_table, print_json, print_table, say, wrote

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model by name, or a file.")]


class _WithInfo(OnDemandGroup):
    """Commands, and a model's name in the place of one: that shows the model."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; `NAME ...` is `info NAME ...`."""
        is_own = not args or args[0] in self.list_commands(ctx) or set(args) <= {"--json", "--help", "-h"}
        return super().parse_args(ctx, args if is_own else ["info", *args])


models = CommandGroup(
    cls=_WithInfo,
    help="List the models that are here, or show one: gramophone models NAME.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@models.callback()
def listed(context: typer.Context, json: JsonOption = False) -> None:
    """List the models that are here, or show one: gramophone models NAME."""
    from gramophone.offline.commands.models import describe_models

    if context.invoked_subcommand is None:
        describe_models(json=json)


@models.command()
def info(
    name: ModelArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write sounds and a picture of the effect of its latents.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let this TorchScript file (.ts), which is a program, run from now on.")
    ] = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Show a model with its data, licence and scores."""
    from gramophone.offline.commands.models import describe_model, trust_model

    if trust:
        if not name.endswith(".ts"):
            raise typer.BadParameter("expected the path of a .ts file before it", param_hint="--trust")
        trust_model(name)
    describe_model(name, out, overwrite=overwrite, json=json)


@models.command()
def add(
    source: Annotated[str, typer.Argument(metavar="FILE|DIR|URL", help="A model, a folder of models, or an address.")],
    name: Annotated[str, typer.Option(metavar="N", help="The model's name; else that of its file.")] = "",
    sha256: Annotated[str, typer.Option("--sha256", metavar="HEX", help="What the file's SHA-256 must be.")] = "",
    agree: AgreeOption = False,
    json: JsonOption = False,
) -> None:
    """Add models by name, for any preset; the licence is shown, and has to be agreed to, once."""
    from gramophone.offline.commands.library import add_models

    kept = add_models(source, name, sha256, agreed=agree)
    if json:
        print_json({"added": [{"name": each.name, "file": str(each.file), "sha256": each.sha256} for each in kept]})
        return
    for each in kept:
        wrote(each.file)
        say(f'use it in a preset as model = "{each.name}"')


@models.command("learn-names")
def learn_names(
    model: Annotated[Path, typer.Argument(metavar="X.ts", help="A TorchScript file that has been trusted.")],
    on: Annotated[Path, typer.Option("--on", metavar="DIR", help="Sounds of the kind that it will be fed.")],
    json: JsonOption = False,
) -> None:
    """Measure what each latent of a TorchScript model is about, and keep the names for its knobs' descriptions."""
    from gramophone.offline.commands.latent_names import learn_names as learn

    found = learn(model, on, lambda words: None if json else say(words))
    if json:
        print_json({"latents": [vars(latent) for latent in found]})
        return
    table = new_table("latent", "R²", "spread", "raised by its spread, it changes that by")
    for latent in found:
        add_row(table, latent.name, f"{latent.r2:.2f}", f"{latent.spread:.2f}", f"{latent.effect:+.2f}")
    print_table(table)


@models.command()
def remove(name: ModelArgument) -> None:
    """Remove a model that was added; it stays in the bin for a while."""
    from gramophone.offline.commands.library import remove as removed

    say(f"moved {removed(name).file} to the bin")


def export(
    model: ModelArgument,
    to: Annotated[str, typer.Option("--to", metavar="onnx|nn~", help="ONNX, or TorchScript for nn~.")],
    out: Annotated[Path, typer.Option(metavar="F", help="The file to write: .onnx, or .ts for nn~.")],
    part: Annotated[str, typer.Option(metavar="P", help="Only this part of it (ONNX).")] = "",
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Write a model for other programs, checked against it; what fails its own check is not written."""
    from gramophone.offline.export.command import FORMATS, run

    demand_choice(to, list(FORMATS), "--to")
    demand_result(out, endings=[FORMATS[to]], overwrite=overwrite)
    run(model, to, out, part, overwrite=overwrite, json=json)


def pack(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A preset by name, or a .toml file.")],
    out: Annotated[Path, typer.Option(metavar="F", help="The file to write, which ends in .gramophone.")],
    settings: SetOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Write a preset with its clips and models as one file, which others open with play FILE.gramophone."""
    from gramophone.offline.commands.pack import write_pack

    demand_result(out, endings=[PACK_SUFFIX], overwrite=overwrite)
    packed = write_pack(checked_preset(preset, settings, "PRESET"), out)
    if json:
        print_json({"out": str(out), "files": [vars(file) for file in packed]})
        return
    wrote(out)
    for file in packed:
        say(f"  {file.name}: {file.size / 1e6:.1f} MB, licence: {file.licence or 'not said: yours to know'}")
