"""The command line. Every command imports what it needs when it is called, so that `--help` answers at once."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

app = typer.Typer(
    help="Play one sound in the style of another, live.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_INTERRUPTED = 130
"""How typer ends on Ctrl-C."""

evaluate = typer.Typer(help="Measure how good it sounds, by independent judges.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")

PresetOption = Annotated[str, typer.Option("--preset", metavar="P", help="Factory preset by name, or a .toml file.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.PARAM=VALUE", help="Turn a knob; may be repeated.")
]
DeviceOption = Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda or mps.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main() -> None:
    """Run the command line: exit code 0 done, 1 something failed and is named, 2 usage."""
    try:
        app()
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
    from gramophone.offline.render import Request, announced_seconds, find_inputs, plan, render_all

    request = Request(_preset(preset, settings), block, device, picture)
    files, missing = find_inputs(inputs)
    work = plan(files, out, suffix=None if keep_format else ".wav", overwrite=overwrite)
    work.failed.update(missing)
    out.mkdir(parents=True, exist_ok=True)
    with _progress(json, announced_seconds(work)) as progress:
        outcome = render_all(work, request, jobs, progress)
    if json:
        _print_json(
            {
                "rendered": [str(path) for path in outcome.rendered],
                "skipped": [str(path) for path in outcome.skipped],
                "failed": {str(path): why for path, why in outcome.failed.items()},
                "warnings": {str(path): why for path, why in outcome.warnings.items()},
                "seconds": outcome.seconds,
            }
        )
    for path, why in outcome.warnings.items():
        _say(f"warning: {path}: {why}")
    for path, why in outcome.failed.items():
        _say(f"error: {why if str(path) in why else f'{path}: {why}'}")
    _say(f"{len(outcome.rendered)} rendered, {len(outcome.skipped)} there already, {len(outcome.failed)} failed")
    if outcome.failed:
        raise typer.Exit(1)


@app.command()
def play(
    source: Annotated[Path | None, typer.Argument(metavar="[INPUT]", help="With --audio file: what to play.")] = None,
    preset: PresetOption = "default",
    settings: SetOption = None,
    audio: Annotated[
        str, typer.Option(help="Where sound comes from and goes to: auto, jack, portaudio[:NAME] or file.")
    ] = "auto",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="With --audio file: where to write.")] = None,
    block: Annotated[int | None, typer.Option(min=1, help="Frames at a time; else as the device has it.")] = None,
    spare: Annotated[int, typer.Option(min=0, max=16, help="Blocks to spare: later, and safe from stalls.")] = 0,
    duration: Annotated[float | None, typer.Option(min=0.0, metavar="S", help="Stop after S seconds.")] = None,
    record: Annotated[Path | None, typer.Option(metavar="DIR", help="Record sound, preset and every control.")] = None,
    osc_port: Annotated[int, typer.Option(min=0, max=65535, help="UDP port for OSC; 0 closes it.")] = 9000,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of OSCQuery and the page; 0 closes it.")
    ] = 9001,
    midi: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="MIDI inputs; all of them if not given.")
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
        _play_file(_preset(preset, settings), source, out, block or 256, duration, device, json=json, quiet=quiet)
        return
    if source or out:
        raise typer.BadParameter("INPUT and --out go with --audio file", param_hint="--audio")
    from gramophone.realtime.live.hands import Hands
    from gramophone.realtime.live.perform import Performance, perform
    from gramophone.realtime.live.session import SessionSettings

    performance = Performance(
        SessionSettings(audio, block=block, spare=spare, device=device, recorded=record is not None), duration, record
    )
    hands = Hands(osc_port or None, http_port or None, host, tuple(allow or ()), token, tuple(midi or ()))
    with _view(json=json, quiet=quiet) as view:
        perform(
            performance,
            lambda: _preset(preset, settings),
            view,
            lambda desk, session: hands.on(desk, session.meters, view.tell),
        )


@app.command()
def devices(json: JsonOption = False) -> None:
    """List the sound devices that --audio can name."""
    from dataclasses import asdict

    from gramophone.realtime.live.devices import find_devices

    found, missing = find_devices()
    if json:
        _print_json({"devices": [asdict(device) for device in found], "missing": missing})
        return
    for device in found:
        star = "*" if device.default else " "
        print(f"{star} --audio {device.audio!r:32} {device.inputs} in, {device.outputs} out, {device.rate} Hz")
    for why in missing:
        _say(why)


@app.command()
def stylise(
    content: Annotated[Path, typer.Argument(help="The sound to restyle.")],
    style: Annotated[Path, typer.Argument(help="The sound whose style it takes.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the result.")],
    method: Annotated[str, typer.Option(help="How: live (the real-time stage).")] = "live",
    strength: Annotated[float, typer.Option(min=0.0, max=1.0, help="How much of the style.")] = 1.0,
    device: DeviceOption = "auto",
) -> None:
    """Give one recording the style of another."""
    from gramophone.offline.render import Request, render_file
    from gramophone.presets import Preset, PresetError, StageSettings

    if method != "live":
        raise typer.BadParameter(f"{method!r}: expected live", param_hint="--method")
    if out.suffix.lower() not in _extensions():
        raise typer.BadParameter(f"{out}: expected {', '.join(_extensions())}", param_hint="--out")
    if not style.is_file():
        raise PresetError(f"{style}: no such style file")
    stage = StageSettings("style", "style", {"clip": str(style.resolve()), "strength": strength})
    with _progress() as progress:
        render_file(content, out, Request(Preset("stylise", (stage,)), device=device), progress)


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(help="Show this preset's chain and knobs.")] = None,
    json: JsonOption = False,
) -> None:
    """List the factory presets, or show one with its knobs."""
    from gramophone.offline.listing import describe_preset, describe_presets

    describe_preset(name, json=json) if name else describe_presets(json=json)


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Check this installation: libraries, devices, presets, files, speed."""
    from gramophone.offline.doctor import examine, show

    checks = examine()
    show(checks, json=json)
    if any(not check.ok for check in checks):
        raise typer.Exit(1)


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


def fail(message: str) -> NoReturn:
    """Print one line for people and end with exit code 1."""
    _say(f"error: {message}")
    sys.exit(1)


def _is_ours(error: Exception) -> bool:
    """Whether `error` is meant for people; anything else is a bug and keeps its traceback."""
    return type(error).__module__.startswith("gramophone.") or isinstance(error, OSError)


def _preset(name: str, settings: list[str] | None) -> Any:
    from gramophone.presets import PresetError, load, names
    from gramophone.realtime.table import complete, overridden

    if not name.endswith(".toml") and name not in names():
        hint = ", ".join(names())
        raise typer.BadParameter(f"no preset {name!r}; expected a .toml file or one of {hint}", param_hint="--preset")
    preset = load(name)
    try:
        changed = overridden(preset, _from_here(settings or []))
    except PresetError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from None
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
    from gramophone.realtime.play import play_file

    show = _print_json if json else (lambda _report: None) if quiet else _show_report
    play_file(preset, source or CLIPS / "voice.flac", out, block, show, duration=duration, device=device)


def _view(*, json: bool, quiet: bool) -> Any:
    from contextlib import nullcontext

    from gramophone.realtime.live.view import JsonView, LineView, QuietView, TerminalView

    if quiet and not json:
        return nullcontext(QuietView())
    if json:
        return nullcontext(JsonView())
    return TerminalView() if sys.stdout.isatty() else nullcontext(LineView())


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _print_json(value: Any) -> None:
    print(json_format.dumps(value), flush=True)


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
