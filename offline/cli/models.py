"""`gramophone models` and `gramophone export`: the trained models, and how they leave for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gramophone.offline.cli.common import CommandGroup, JsonOption, demand_choice

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model by name, or a file.")]


class _WithInfo(TyperGroup):
    """Commands, and a model's name in the place of one: that shows the model."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; `NAME ...` is `info NAME ...`."""
        is_own = not args or args[0] in self.commands or set(args) <= {"--json", "--help", "-h"}
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
    json: JsonOption = False,
) -> None:
    """Show a model with its data, licence and scores."""
    from gramophone.offline.commands.models import describe_model, trust_model

    if trust:
        if not name.endswith(".ts"):
            raise typer.BadParameter("expected the path of a .ts file before it", param_hint="--trust")
        trust_model(name)
    describe_model(name, out, json=json)


def export(
    model: ModelArgument,
    to: Annotated[str, typer.Option("--to", metavar="onnx|nn~", help="ONNX, or TorchScript for nn~.")],
    out: Annotated[Path, typer.Option(metavar="F", help="The file to write: .onnx, or .ts for nn~.")],
    part: Annotated[str, typer.Option(metavar="P", help="Only this part of it (ONNX).")] = "",
    json: JsonOption = False,
) -> None:
    """Write a model for other programs, checked against it; what fails its own check is not written."""
    from gramophone.offline.export.command import FORMATS, run

    demand_choice(to, list(FORMATS), "--to")
    if out.suffix != FORMATS[to] or out.is_dir():
        raise typer.BadParameter(f"{out}: expected a file of {FORMATS[to]}", param_hint="--out")
    run(model, to, out, part, json=json)
