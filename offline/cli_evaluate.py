"""`gramophone evaluate`: how good it sounds, by independent judges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramophone.offline.cli_common import JsonOption

evaluate = typer.Typer(help="Measure how good it sounds, by independent judges.", no_args_is_help=True)


@evaluate.command("style")
def evaluate_style(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for table and picture.")] = Path("out/evaluate"),
    pairs: Annotated[str, typer.Option(help="Which recordings: test, or dev to tune on.")] = "test",
    json: JsonOption = False,
) -> None:
    """Judge the live style stage on pairs of real recordings, which are fetched as Debian packages."""
    from gramophone.offline.evaluate_style import run

    if pairs not in ("test", "dev"):
        raise typer.BadParameter(f"{pairs!r}: expected test or dev", param_hint="--pairs")
    run(out, json=json, which=pairs)


@evaluate.command("wavenet")
def evaluate_wavenet(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Models, or the folders of their runs.")],
    data: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Recordings to judge on; else those of its run or card.")
    ] = None,
    toggle: Annotated[bool, typer.Option(help="Let each speaker speak out of nothing, and judge the clips.")] = True,
    json: JsonOption = False,
) -> None:
    """Judge whether WaveNets listen to who is to speak: bits told right and wrong, and clips of each speaker."""
    from gramophone.offline.evaluate_wavenet import run

    run(models, data or [], toggle=toggle, json=json)


@evaluate.command("vocoder")
def evaluate_vocoder(
    model: Annotated[Path, typer.Argument(help="A model trained with --local, or the folder of its run.")],
    data: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Recordings to judge on; else those of its run.")
    ] = None,
    phrases: Annotated[int, typer.Option(min=1, help="How many held-out phrases to say again.")] = 20,
    json: JsonOption = False,
) -> None:
    """Judge how well a WaveNet says held-out phrases again: words, quality, pitch."""
    from gramophone.offline.evaluate_vocoder import run

    run(model, data or [], phrases, json=json)


@evaluate.command("match")
def evaluate_match(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results; a next call goes on there.")] = Path(
        "out/evaluate"
    ),
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to search for each.")] = 2.0,
    evaluations: Annotated[int | None, typer.Option(min=1, help="End after so many trials, if that is sooner.")] = None,
    settings: Annotated[int, typer.Option(min=1, help="How many hidden settings.")] = 20,
    jobs: Annotated[int, typer.Option(min=0, help="Trials at a time; 0 is one for each core.")] = 0,
    json: JsonOption = False,
) -> None:
    """Hide chains of effects behind held-out voices and let `match` find their settings."""
    from gramophone.offline.evaluate_match import run
    from gramophone.offline.match.search import Budget

    run(out, Budget(minutes * 60, evaluations or float("inf")), settings, jobs, json=json)


@evaluate.command("stylise")
def evaluate_stylise(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results; a next call goes on there.")] = Path(
        "out/evaluate"
    ),
    methods: Annotated[list[str] | None, typer.Option("--method", help="Which to judge; all if not given.")] = None,
    pairs: Annotated[str, typer.Option(help="Which recordings: test, or dev to tune on.")] = "test",
    json: JsonOption = False,
) -> None:
    """Judge every method of style transfer on the same pairs of real recordings."""
    from gramophone.offline.evaluate_stylise import LIVE, run
    from gramophone.offline.stylise.method import METHODS

    known = [LIVE, *METHODS]
    for name in methods or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r}: expected one of {', '.join(known)}", param_hint="--method")
    if pairs not in ("test", "dev"):
        raise typer.BadParameter(f"{pairs!r}: expected test or dev", param_hint="--pairs")
    run(out, methods or known, pairs, json=json)
