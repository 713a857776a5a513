"""The command line. Every command imports what it needs when it is called, so that `--help` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gramophone.offline.cli.common import DeviceOption, JsonOption, PresetOption, SetOption, print_json, say
from gramophone.offline.cli.evaluate import evaluate
from gramophone.offline.cli.train import train

if TYPE_CHECKING:
    from gramophone.realtime.dsp.channel_matrix import Route
    from gramophone.realtime.live.ahead import StandbyWorker

app = typer.Typer(
    help="Play one sound in the style of another, live.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(evaluate, name="evaluate")
app.add_typer(train, name="train")

_INTERRUPTED = 130
"""How typer ends on Ctrl-C."""


def main(ahead: StandbyWorker | None = None) -> None:
    """Run the command line: exit code 0 done, 1 something failed and is named, 2 usage.

    `ahead` is a worker process for `play`, where one was started before.
    """
    try:
        app(obj=ahead)
    except SystemExit as end:
        if end.code != _INTERRUPTED:
            raise
        fail("interrupted; what was done stays, call again to go on")
    except (OSError, ValueError, RuntimeError) as error:
        if not _is_ours(error):
            raise
        fail(str(error))


@app.command()
def render(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Sound files, folders or patterns.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    preset: PresetOption = "default",
    settings: SetOption = None,
    jobs: Annotated[int, typer.Option(min=1, help="Files at a time.")] = 1,
    block: Annotated[int, typer.Option(min=1, help="Frames at a time.")] = 4096,
    device: DeviceOption = "auto",
    keep_format: Annotated[bool, typer.Option("--format", help="Write the input's own format, not WAV.")] = False,
    picture: Annotated[bool, typer.Option(help="Draw content, style and result beside each result.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Render what is there already once more.")] = False,
    json: JsonOption = False,
) -> None:
    """Push files through a preset; each result has its input's length, rate and channels, in line to the sample."""
    from gramophone.offline.render import RenderRequest, announced_seconds, find_inputs, plan, render_all

    request = RenderRequest(_preset(preset, settings), block, device, picture)
    files, missing = find_inputs(inputs)
    work = plan(files, out, suffix=None if keep_format else ".wav", overwrite=overwrite)
    work.failed.update(missing)
    out.mkdir(parents=True, exist_ok=True)
    with _progress(json, announced_seconds(work)) as progress:
        outcome = render_all(work, request, jobs, progress)
    if json:
        print_json(
            {
                "rendered": [str(path) for path in outcome.rendered],
                "skipped": [str(path) for path in outcome.skipped],
                "failed": {str(path): why for path, why in outcome.failed.items()},
                "warnings": {str(path): why for path, why in outcome.warnings.items()},
                "seconds": outcome.seconds,
            }
        )
    for path, why in outcome.warnings.items():
        say(f"warning: {path}: {why}")
    for path, why in outcome.failed.items():
        say(f"error: {why if str(path) in why else f'{path}: {why}'}")
    say(f"{len(outcome.rendered)} rendered, {len(outcome.skipped)} there already, {len(outcome.failed)} failed")
    if outcome.failed:
        raise typer.Exit(1)


@app.command()
def play(
    context: typer.Context,
    source: Annotated[Path | None, typer.Argument(metavar="[INPUT]", help="With --audio file: what to play.")] = None,
    preset: PresetOption = "default",
    settings: SetOption = None,
    audio: Annotated[
        str, typer.Option(help="Where sound comes from and goes to: auto, jack, portaudio[:NAME], osc[:PORT] or file.")
    ] = "auto",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="With --audio file: where to write.")] = None,
    block: Annotated[int | None, typer.Option(min=1, help="Frames at a time; else as the device has it.")] = None,
    spare: Annotated[
        int | None, typer.Option(min=0, max=16, help="Blocks to spare against stalls; else what the preset needs.")
    ] = None,
    inputs: Annotated[
        str, typer.Option(metavar="ROUTE", help="The device's inputs for each channel: 1,1 or 3,4 or 1+2,0.")
    ] = "",
    outputs: Annotated[str, typer.Option(metavar="ROUTE", help="The device's outputs for each channel.")] = "",
    channels: Annotated[
        int | None, typer.Option(min=1, max=8, help="Channels of the chain, from one microphone up; 2 if not given.")
    ] = None,
    sockets: Annotated[
        int | None, typer.Option(min=1, help="Open so many inputs and outputs, to be named while it plays.")
    ] = None,
    duration: Annotated[float | None, typer.Option(min=0.0, metavar="S", help="Stop after S seconds.")] = None,
    record: Annotated[Path | None, typer.Option(metavar="DIR", help="Record sound, preset and every control.")] = None,
    osc_port: Annotated[int, typer.Option(min=0, max=65535, help="UDP port for OSC; 0 closes it.")] = 9000,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of OSCQuery and the page; 0 closes it.")
    ] = 9001,
    midi: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="MIDI inputs; all of them if not given; none closes MIDI.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need --allow.")
    ] = "127.0.0.1",
    allow: Annotated[list[str] | None, typer.Option(metavar="PEER", help="Addresses that OSC is taken from.")] = None,
    token: Annotated[str, typer.Option(help="What the page asks for beyond this machine.")] = "",
    device: DeviceOption = "auto",
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option(help="Show nothing.")] = False,
) -> None:
    """Play live through a preset: the microphone, JACK, or a file, which repeats until --duration is full."""
    if audio == "file" or (audio == "auto" and (source or out)):
        if inputs or outputs or sockets:
            raise typer.BadParameter("a file has no inputs and outputs to choose from", param_hint="--inputs")
        if channels:
            raise typer.BadParameter("goes with a device; a file has its own channels", param_hint="--channels")
        if record:
            raise typer.BadParameter("goes with a device; what a file plays is kept by --out", param_hint="--record")
        if context.obj:
            context.obj.close()
        _play_file(_preset(preset, settings), source, out, block or 256, duration, device, json=json, quiet=quiet)
        return
    if source or out:
        raise typer.BadParameter("INPUT and --out go with --audio file", param_hint="--audio")
    from gramophone.realtime.live.devices.osc.options import reachable
    from gramophone.realtime.live.run import LiveRun, perform
    from gramophone.realtime.live.session import SessionSettings
    from gramophone.realtime.live.surfaces import Surfaces, midi_inputs

    if audio.partition(":")[0] == "osc":
        audio = reachable(audio, host, allow or ())
    session = SessionSettings(
        audio,
        channels=channels or 2,
        block=block,
        spare=spare,
        device=device,
        recorded=record is not None,
        inputs=_route(inputs, "--inputs"),
        outputs=_route(outputs, "--outputs"),
        sockets=sockets,
    )
    performance = LiveRun(session, duration, record)
    surfaces = Surfaces(osc_port or None, http_port or None, host, tuple(allow or ()), token, midi_inputs(midi))
    with _view(json=json, quiet=quiet) as view:
        perform(
            performance,
            lambda: _preset(preset, settings),
            view,
            lambda controller, session: surfaces.on(controller, session, view.tell),
            context.obj,
        )


def _route(text: str, option: str) -> Route | None:
    from gramophone.realtime.dsp.channel_matrix import RouteError, parse_route

    try:
        return parse_route(text) if text else None
    except RouteError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


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
        star = "*" if device.default else " "
        print(f"{star} --audio {device.audio!r:32} {device.inputs} in, {device.outputs} out, {device.rate} Hz")
    for why in missing:
        say(why)


@app.command()
def stylise(
    content: Annotated[Path, typer.Argument(help="The sound to restyle.")],
    style: Annotated[Path, typer.Argument(help="The sound whose style it takes.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the result.")],
    method: Annotated[
        str,
        typer.Option(help="How: live (as in real time), or slowly: stft, texture, tagger, wavenet, wavenet-relaxed."),
    ] = "live",
    strength: Annotated[float, typer.Option(min=0.0, max=1.0, help="How much of the style.")] = 1.0,
    steps: Annotated[int, typer.Option(min=0, help="Slow methods: how many; 0 is the method's own.")] = 0,
    model: Annotated[
        str, typer.Option(metavar="M", help="tagger, wavenet: by which that comes with this, or a file; or the usual.")
    ] = "",
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Give one recording the style of another; Ctrl-C keeps the best so far, calling again goes on."""
    if out.suffix.lower() not in _extensions():
        raise typer.BadParameter(f"{out}: expected {', '.join(_extensions())}", param_hint="--out")
    if method == "live":
        _stylise_live(content, style, out, strength, device, json=json)
        return
    from gramophone.offline.stylise.command import run
    from gramophone.offline.stylise.method import METHODS
    from gramophone.offline.stylise.transfer import TransferRequest
    from gramophone.realtime.kernels.executor import choose_device

    if method not in METHODS:
        raise typer.BadParameter(f"{method!r}: expected live, {', '.join(METHODS)}", param_hint="--method")
    keep = out.with_name(f"{out.name}.descent.npz")
    run(content, style, out, TransferRequest(method, strength, steps, choose_device(device), keep, model), json=json)


@app.command()
def match(
    dry: Annotated[Path, typer.Argument(help="The sound as it was recorded.")],
    reference: Annotated[Path, typer.Argument(help="A sound that is processed the way it should be.")],
    chain: Annotated[str, typer.Option(metavar="P", help="Whose knobs to turn: a preset by name, or a .toml file.")],
    out: Annotated[Path, typer.Option(metavar="PRESET.toml", help="Where to write the preset that was found.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to search.")] = 2.0,
    evaluations: Annotated[int | None, typer.Option(min=1, help="End after so many trials, if that is sooner.")] = None,
    settings: SetOption = None,
    free: Annotated[list[str] | None, typer.Option(metavar="KNOBS", help="Turn these too, as in '*.mix'.")] = None,
    fix: Annotated[list[str] | None, typer.Option(metavar="KNOBS", help="Leave these, as in 'room.*'.")] = None,
    excerpt: Annotated[float, typer.Option(min=1.0, metavar="S", help="How much of DRY is heard.")] = 8.0,
    jobs: Annotated[int, typer.Option(min=0, help="Trials at a time; 0 is one for each core.")] = 0,
    seed: Annotated[int, typer.Option(help="Another seed searches other places.")] = 0,
    json: JsonOption = False,
) -> None:
    """Turn a chain's knobs until DRY sounds processed like REFERENCE; Ctrl-C keeps the best so far."""
    from gramophone.offline.match.command import Options, run
    from gramophone.offline.match.search import Budget

    if out.suffix != ".toml":
        raise typer.BadParameter(f"{out}: expected a name that ends in .toml", param_hint="--out")
    budget = Budget(minutes * 60, evaluations or float("inf"))
    options = Options(free or (), fix or (), excerpt, jobs=jobs, seed=seed)
    run(dry, reference, _preset(chain, settings, "--chain"), out, budget, options, json=json)


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
    model: Annotated[str, typer.Option(metavar="M", help="One of the models that come with this, or a file.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write what it sings.")],
    speaker: Annotated[str, typer.Option(metavar="S", help="Who: a name, or a blend as in anna:0.7,bob:0.3.")] = "",
    seconds: Annotated[float, typer.Option(min=0.0, metavar="T", help="How long; 0: as long as --like.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, metavar="K", help="Another number sings another line.")] = 0,
    temperature: Annotated[float, typer.Option(min=0.0, max=4.0, help="How freely; 0 is always the likeliest.")] = 1.0,
    nucleus: Annotated[float, typer.Option(min=0.01, max=1.0, help="How much of what is likely to draw from.")] = 1.0,
    like: Annotated[Path | None, typer.Option(metavar="FILE", help="A sound to follow, for a vocoder.")] = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Let a WaveNet sing by itself; the same model, speaker and seed give the same sound."""
    from gramophone.offline.commands.generate import GenerateRequest
    from gramophone.offline.commands.generate import generate as sing
    from gramophone.realtime.kernels.executor import choose_device

    if out.suffix.lower() not in _extensions():
        raise typer.BadParameter(f"{out}: expected {', '.join(_extensions())}", param_hint="--out")
    request = GenerateRequest(seconds, speaker, seed, temperature, nucleus, like, choose_device(device))
    done = sing(model, out, request)
    print_json(done) if json else say(f"{done['file']}: {done['seconds']:.2f} s at {done['rate']} Hz")


@app.command()
def tag(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Sound files.")],
    model: Annotated[str, typer.Option(metavar="M", help="A tagger: one that comes with this, or a file.")] = "tagger",
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="T", help="Show this tag; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Else show so many, the likeliest.")] = 5,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of bars.")] = False,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Tell which instruments, genres and moods are in sound files."""
    from gramophone.offline.commands.tag import run
    from gramophone.realtime.kernels.executor import choose_device

    form = "json" if json else "csv" if csv else "bars"
    if not run(files, model, tags or (), top, form, choose_device(device)):
        raise typer.Exit(1)


@app.command()
def dream(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write what was dreamt.")],
    clip: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="What to begin with; else noise.")] = None,
    tag: Annotated[str, typer.Option(metavar="T", help="Dream of this tag.")] = "",
    layer: Annotated[int, typer.Option(min=0, help="Or of what this layer likes, the first being 1.")] = 0,
    channel: Annotated[int | None, typer.Option(min=0, help="Of this channel of the layer.")] = None,
    seconds: Annotated[float, typer.Option(help="How long, from noise.")] = 5.0,
    steps: Annotated[int, typer.Option(min=1, help="Steps to take.")] = 300,
    naive: Annotated[
        bool, typer.Option("--naive", help="The plain way, which ends in noise; to compare with.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another number begins with other noise.")] = 0,
    model: Annotated[str, typer.Option(metavar="M", help="A tagger: one that comes with this, or a file.")] = "tagger",
    json: JsonOption = False,
) -> None:
    """Make what a tagger hears as TAG, from noise or a clip; Ctrl-C keeps the best so far, calling again goes on."""
    from gramophone.offline.dream.ascent import Dream
    from gramophone.offline.dream.command import DreamRequest, run
    from gramophone.offline.dream.target import DreamTarget

    if out.suffix.lower() not in _extensions():
        raise typer.BadParameter(f"{out}: expected {', '.join(_extensions())}", param_hint="--out")
    wanted = Dream(DreamTarget(tag, layer, channel), steps, naive, seed=seed)
    run(out, DreamRequest(wanted, clip, seconds, model), json=json)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show this model: one that comes with this, or a file.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write sounds and a picture of what its latents do.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the models that come with this, or show what is known of one."""
    from gramophone.offline.commands.generate import describe_models
    from gramophone.offline.commands.models import describe_model

    describe_model(name, out, json=json) if name else describe_models(json=json)


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Check this installation: libraries, devices, presets, files, speed."""
    from gramophone.offline.commands.doctor import examine, show

    checks = examine()
    show(checks, json=json)
    if any(not check.ok for check in checks):
        raise typer.Exit(1)


def fail(message: str) -> NoReturn:
    """Print one line for people and end with exit code 1."""
    say(f"error: {message}")
    sys.exit(1)


def _is_ours(error: Exception) -> bool:
    """Whether `error` is meant for people; anything else is a bug and keeps its traceback."""
    return type(error).__module__.startswith("gramophone.") or isinstance(error, OSError)


def _preset(name: str, settings: list[str] | None, option: str = "--preset") -> Any:
    from gramophone.presets import PresetError, load, names
    from gramophone.realtime.parameter_table import complete, overridden

    if not name.endswith(".toml") and name not in names():
        hint = ", ".join(names())
        raise typer.BadParameter(f"no preset {name!r}; expected a .toml file or one of {hint}", param_hint=option)
    preset = load(name)
    try:
        changed = overridden(preset, _from_here(settings or []))
    except PresetError as error:
        raise typer.BadParameter(str(error), param_hint="--set" if settings else option) from None
    return complete(changed)


def _from_here(settings: list[str]) -> list[str]:
    """Make file names in `settings` absolute: on the command line they are relative to where the user stands."""
    rooted = []
    for setting in settings:
        address, equals, text = setting.partition("=")
        rooted.append(
            f"{address}{equals}{Path(text).resolve()}" if equals and text and Path(text).is_file() else setting
        )
    return rooted


def _extensions() -> tuple[str, ...]:
    from gramophone.realtime.files import EXTENSIONS

    return EXTENSIONS


def _stylise_live(content: Path, style: Path, out: Path, strength: float, device: str, *, json: bool) -> None:
    from gramophone.offline.render import RenderRequest, render_file
    from gramophone.presets import Preset, PresetError, StageSettings

    if not style.is_file():
        raise PresetError(f"{style}: no such style file")
    stage = StageSettings("style", "style", {"clip": str(style.resolve()), "strength": strength})
    with _progress(json) as progress:
        render_file(content, out, RenderRequest(Preset("stylise", (stage,)), device=device), progress)
    if json:
        print_json({"out": str(out)})


def _play_file(
    preset: Any,
    source: Path | None,
    out: Path | None,
    block: int,
    duration: float | None,
    device: str,
    *,
    json: bool,
    quiet: bool,
) -> None:
    from gramophone.presets import CLIPS
    from gramophone.realtime.play_file import play_file

    show = print_json if json else (lambda _report: None) if quiet else _show_report
    play_file(preset, source or CLIPS / "voice.flac", out, block, show, duration=duration, device=device)


def _view(*, json: bool, quiet: bool) -> Any:
    from contextlib import nullcontext

    from gramophone.realtime.live.console_view import JsonView, LineView, QuietView, TerminalView

    if quiet and not json:
        return nullcontext(QuietView())
    if json:
        return nullcontext(JsonView())
    return TerminalView() if sys.stdout.isatty() else nullcontext(LineView())


def _show_report(report: dict[str, Any]) -> None:
    print(
        f"{report['time_s']:8.1f} s  in {report['input']['rms_db']:6.1f} dB  out {report['output']['rms_db']:6.1f} dB  "
        f"load {report['load']:.0%}  latency {report['latency_samples']} samples",
        flush=True,
    )


def _progress(quiet: bool = False, seconds: float = 0.0) -> Any:
    from gramophone.offline.progress import Progress

    return Progress(quiet, seconds)


if __name__ == "__main__":
    main()
