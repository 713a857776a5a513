"""The command line. Every command imports what it needs when it is called, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gramophone.offline.cli.bridge import bridge
from gramophone.offline.cli.command_group import CommandGroup, OnDemandGroup
from gramophone.offline.cli.common import DeviceOption, JsonOption, OverwriteOption, SetOption, demand_result
from gramophone.offline.cli.evaluate import evaluate
from gramophone.offline.cli.layout import layout
from gramophone.offline.cli.models import export, models, pack
from gramophone.offline.cli.render_play import play, render
from gramophone.offline.cli.shards import shards
from gramophone.offline.cli.tag import tag
from gramophone.offline.console import in_words, print_json, say, shown_remarks, wrote
from gramophone.offline.extras import explained
from gramophone.realtime.system.interrupts import end_as_on_interrupt

if TYPE_CHECKING:
    from gramophone.realtime.live.worker_process import StandbyWorker


class _TrainGroup(OnDemandGroup):
    """The commands of `gramophone train`, which are described only when it is called or completed."""

    @staticmethod
    def described() -> CommandGroup:
        """Return the commands as they were described."""
        from gramophone.offline.cli.train import train

        return train


app = CommandGroup(
    help="Play one sound in the style of another, live.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(render)
app.command()(play)
app.command()(tag)
app.command()(shards)
app.command()(layout)
app.command()(export)
app.command()(pack)
app.add_typer(evaluate, name="evaluate")
app.add_typer(bridge, name="bridge")
app.add_typer(models, name="models")
app.add_typer(
    typer.Typer(cls=_TrainGroup),
    name="train",
    help="Train a model on recordings; called again, a run goes on.",
    no_args_is_help=True,
)

_INTERRUPTED, _USAGE = 130, 2
"""How typer ends on Ctrl-C, and on a command line that says nothing."""
_AS_LIVE = ("live", "mosaic")


def main(ahead: StandbyWorker | None = None) -> None:
    """Run the command line: exit code 0 done, 1 something failed and is named, 2 usage.

    `ahead` is a worker process for `play`, where one was started before.
    """
    end_as_on_interrupt()
    try:
        app(obj=ahead)
    except SystemExit as end:
        if end.code != _INTERRUPTED:
            raise
        fail("interrupted; what was done stays, call again to go on")
    except ModuleNotFoundError as error:
        missing = explained(error)
        if missing is None:
            raise
        fail(str(missing))
    except (OSError, ValueError, RuntimeError) as error:
        if not _is_ours(error):
            raise
        fail(in_words(error))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"gramophone {version('gramophone')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Play one sound in the style of another, live."""
    context.with_resource(shown_remarks())
    if context.invoked_subcommand is not None:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        typer.echo(context.get_help())
        raise typer.Exit(_USAGE)
    from gramophone.offline.cli.menu import offer

    offer(_run)


def _run(arguments: list[str]) -> None:
    """Run a command line, and return where it has not failed."""
    try:
        app(arguments)
    except SystemExit as end:
        if end.code:
            raise


@app.command()
def devices(json: JsonOption = False) -> None:
    """List the sound devices that --audio can name."""
    from dataclasses import asdict

    from gramophone.realtime.live.devices.list import find_devices

    found, missing = find_devices()
    if json:
        print_json({"devices": [asdict(device) for device in found], "missing": missing})
        return
    for device in found:
        shown = f"{device.audio!r:32} {device.inputs} in, {device.outputs} out, {device.rate} Hz"
        print(f"{'*' if device.default else ' '} --audio {shown}")
    for why in missing:
        say(why)


@app.command()
def stylise(
    content: Annotated[Path, typer.Argument(help="The sound to restyle.")],
    style: Annotated[Path, typer.Argument(help="The sound whose style it takes.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the result.")],
    method: Annotated[
        str,
        typer.Option(help="As in real time: live, mosaic; or slowly: stft, texture, tagger, wavenet, wavenet-relaxed."),
    ] = "live",
    strength: Annotated[float, typer.Option(min=0.0, max=1.0, help="How much of the style.")] = 1.0,
    steps: Annotated[int, typer.Option(min=0, help="Slow methods: how many; 0 is the method's own.")] = 0,
    model: Annotated[
        str, typer.Option(metavar="M", help="tagger, wavenet: the model to use, by name or as a file.")
    ] = "",
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Give one recording the style of another; Ctrl-C keeps the best so far, calling again goes on."""
    keep = out.with_name(f"{out.name}.descent.npz")
    overwrite |= keep.is_file()  # of a call that was stopped
    demand_result(out, content, style, overwrite=overwrite)
    from gramophone.offline.stylise.command import run, run_live
    from gramophone.offline.stylise.method import METHODS
    from gramophone.offline.stylise.transfer import TransferRequest
    from gramophone.realtime.kernels.executor import choose_device

    if method in _AS_LIVE:
        run_live(content, style, out, method, strength, device, json=json)
        return
    if method not in METHODS:
        raise typer.BadParameter(f"{method!r}: expected {', '.join((*_AS_LIVE, *METHODS))}", param_hint="--method")
    request = TransferRequest(method, strength, steps, choose_device(device), keep, model)
    run(content, style, out, request, overwrite=overwrite, json=json)


@app.command()
def match(
    dry: Annotated[Path, typer.Argument(help="The sound as it was recorded.")],
    reference: Annotated[Path, typer.Argument(help="A sound that is processed the way it should be.")],
    chain: Annotated[
        str,
        typer.Option(
            metavar="P",
            help="The preset whose parameters are searched, by name or as a .toml file; auto tries several chains.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="PRESET.toml", help="Where to write the preset that was found.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to search.")] = 2.0,
    evaluations: Annotated[int | None, typer.Option(min=1, help="End after so many trials, if that is sooner.")] = None,
    settings: SetOption = None,
    free: Annotated[list[str] | None, typer.Option(metavar="KNOBS", help="Search these too, as in '*.mix'.")] = None,
    fix: Annotated[list[str] | None, typer.Option(metavar="KNOBS", help="Leave these, as in 'room.*'.")] = None,
    prior: Annotated[
        float | None, typer.Option(min=0.0, metavar="W", help="How much the usual values of effects count; 0: nothing.")
    ] = None,
    excerpt: Annotated[float, typer.Option(min=1.0, metavar="S", help="How much of DRY is used.")] = 8.0,
    jobs: Annotated[int, typer.Option(min=0, help="Trials at a time; 0 is one for each core.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Search a chain's parameters until DRY sounds processed like REFERENCE; Ctrl-C keeps the best so far."""
    from gramophone.offline.cli.common import checked_preset
    from gramophone.offline.match.command import Options, run
    from gramophone.offline.match.prior import USUAL_WEIGHT_DB
    from gramophone.offline.match.search import Budget

    overwrite |= Path(chain).exists() and os.path.realpath(chain) == os.path.realpath(out)  # it goes on from there
    demand_result(out, endings=(".toml",), overwrite=overwrite)
    budget = Budget(minutes * 60, evaluations or float("inf"))
    if chain == "auto" and (settings or free or fix):
        raise typer.BadParameter("auto takes no --set, --free or --fix; expected a preset", param_hint="--chain")
    weight = USUAL_WEIGHT_DB if prior is None else prior
    options = Options(free or (), fix or (), excerpt, jobs=jobs, seed=seed, prior_db=weight)
    preset = None if chain == "auto" else checked_preset(chain, settings, "--chain")
    run(dry, reference, preset, out, budget, options, overwrite=overwrite, json=json)


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(help="Show this preset's chain and knobs.")] = None,
    json: JsonOption = False,
) -> None:
    """List the presets, or show one with its parameters."""
    from gramophone.offline.commands.presets import describe_preset, describe_presets

    describe_preset(name, json=json) if name else describe_presets(json=json)


@app.command()
def generate(
    model: Annotated[str, typer.Option(metavar="M", help="One of the models that come with Gramophone, or a file.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the result.")],
    speaker: Annotated[str, typer.Option(metavar="S", help="Speaker: a name, or a blend as in anna:0.7,bob:0.3.")] = "",
    seconds: Annotated[float, typer.Option(min=0.0, metavar="T", help="How long; 0: as long as --like.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, metavar="K", help="Seed of the random numbers.")] = 0,
    temperature: Annotated[
        float, typer.Option(min=0.0, max=4.0, help="Sampling temperature; 0: the likeliest sample.")
    ] = 1.0,
    nucleus: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Nucleus sampling: the probability mass drawn from.")
    ] = 1.0,
    like: Annotated[Path | None, typer.Option(metavar="FILE", help="A sound to follow, for a vocoder.")] = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Generate sound with a WaveNet; the same model, speaker and seed give the same sound."""
    from gramophone.offline.commands.generate import GenerateRequest
    from gramophone.offline.commands.generate import generate as sing
    from gramophone.realtime.kernels.executor import choose_device

    demand_result(out, like, overwrite=overwrite)
    request = GenerateRequest(seconds, speaker, seed, temperature, nucleus, like, choose_device(device))
    done = sing(model, out, request)
    print_json(done) if json else wrote(out)


@app.command()
def dream(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the result.")],
    clip: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The sound to start from; noise if not given.")
    ] = None,
    tag: Annotated[str, typer.Option(metavar="T", help="Dream of this tag.")] = "",
    layer: Annotated[int, typer.Option(min=0, help="Or maximise this layer's activations, the first being 1.")] = 0,
    channel: Annotated[int | None, typer.Option(min=0, help="Only this channel of the layer.")] = None,
    seconds: Annotated[float, typer.Option(help="How long, from noise.")] = 5.0,
    steps: Annotated[int, typer.Option(min=1, help="Steps to take.")] = 300,
    naive: Annotated[
        bool, typer.Option("--naive", help="Plain gradient ascent, which ends in noise; to compare with.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    model: Annotated[
        str, typer.Option(metavar="M", help="A tagger: one that comes with Gramophone, or a file.")
    ] = "tagger",
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Optimise noise or a clip until a tagger finds TAG in it; Ctrl-C keeps the best so far, calling again goes on."""
    from gramophone.offline.dream.ascent import Dream
    from gramophone.offline.dream.command import DreamRequest, run
    from gramophone.offline.dream.target import DreamTarget

    keep = out.with_name(f"{out.name}.dream.npz")
    overwrite |= keep.is_file()  # of a call that was stopped
    demand_result(out, clip, overwrite=overwrite)
    wanted = Dream(DreamTarget(tag, layer, channel), steps, naive, seed=seed)
    run(out, keep, DreamRequest(wanted, clip, seconds, model), overwrite=overwrite, json=json)


@app.command()
def enrol(
    clip: Annotated[Path, typer.Argument(help="A clip of 1 to 300 s of one voice; 20 s are good.")],
    name: Annotated[str, typer.Option(metavar="N", help="The voice's name; else the file's.")] = "",
    json: JsonOption = False,
) -> None:
    """Keep the voice of a clip, for `--set voice.target=NAME`."""
    from gramophone.presets.checks import name_of
    from gramophone.presets.models import model_file
    from gramophone.presets.voices import set_aside, voice_file
    from gramophone.realtime.stages.voice.target import save_target, target_of

    own = name_of(name or clip.stem)
    target, path = target_of(model_file("anyone"), str(clip)), voice_file(own)
    earlier = set_aside(own)
    save_target(path, target)
    words = (*target.words, *([f"the earlier voice of this name is in {earlier} for a while"] if earlier else []))
    if json:
        print_json({"name": own, "path": str(path), "seconds": round(target.seconds, 1), "words": words})
        return
    for sentence in words:
        say(sentence)
    wrote(path)
    say(f"use it as --set voice.target={own}")


@app.command()
def doctor(
    warm: Annotated[
        bool, typer.Option("--warm", help="First compile all that the presets need, so that no start waits for it.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check this machine: libraries, sound card, JACK, MIDI, plug-ins, compiler, caches, presets, speed."""
    from gramophone.offline.commands.doctor import examine, show, show_warming

    if warm:
        show_warming(quiet=json)
    checks = examine()
    show(checks, json=json)
    if any(check.failed for check in checks):
        raise typer.Exit(1)


def fail(message: str) -> NoReturn:
    """Print one line for people and end with exit code 1."""
    say(f"error: {message}")
    sys.exit(1)


def _is_ours(error: Exception) -> bool:
    """Whether `error` is meant for people; anything else is a bug and keeps its traceback."""
    return type(error).__module__.startswith("gramophone.") or isinstance(error, OSError)


if __name__ == "__main__":
    main()
