"""`gramophone render` and `gramophone play`: files through a preset, and sound live."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramophone.offline.cli.common import (
    PACK_SUFFIX,
    AddressOption,
    AgreeOption,
    DeviceOption,
    EngineOption,
    GpusOption,
    JsonOption,
    OverwriteOption,
    PresetOption,
    SetOption,
    checked_preset,
    demand_result,
    engine_choice,
)
from gramophone.offline.console import print_json, say, wrote

if TYPE_CHECKING:
    from gramophone.offline.render import Manifest, RenderRequest
    from gramophone.realtime.dsp.channel_matrix import Route


def render(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Sound files, folders or patterns.")],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder for the results, or its URL; a folder's tree is kept in it.")
    ],
    preset: PresetOption = "default",
    settings: SetOption = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Files rendered in parallel; 1, with --engine ray one a core.")
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = "",
    gpus: GpusOption = 0.0,
    manifest: Annotated[
        str,
        typer.Option(metavar="FILE", help="List of what was done, to go on by; with --engine ray DIR/manifest.jsonl."),
    ] = "",
    block: Annotated[int, typer.Option(min=1, help="Frames per block.")] = 16_384,
    device: DeviceOption = "auto",
    keep_format: Annotated[
        bool, typer.Option("--format", help="Write the input's own format and bits, not a WAV of floats.")
    ] = False,
    tail: Annotated[
        str, typer.Option(metavar="S", help="Seconds to go on behind the input's end; auto: until it is quiet.")
    ] = "0",
    picture: Annotated[bool, typer.Option(help="Draw content, style and result beside each result.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Render again what is there already, and replace it.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Render without a stage that cannot play.")
    ] = False,
    agree: AgreeOption = False,
    json: JsonOption = False,
) -> None:
    """Render files through a preset; each result has its input's length, rate and channels, aligned to the sample."""
    from gramophone.offline.progress import RenderProgress
    from gramophone.offline.render import RenderRequest, announced_seconds, find_inputs, plan, render_all
    from gramophone.offline.urls import parse_place

    choice = engine_choice(engine, address, jobs, gpus or float(engine == "ray" and device == "cuda"))
    request = RenderRequest(
        checked_preset(preset, settings, agreed=agree),
        block,
        device,
        picture,
        _checked_tail(tail),
        allow_missing,
        keep_format,
    )
    folder = parse_place(out)
    kept = _manifest(manifest or (f"{out.rstrip('/')}/{_MANIFEST}" if engine == "ray" else ""), request)
    found = find_inputs(inputs, folder)
    work = plan(found, folder, request, overwrite=overwrite, manifest=kept)
    if isinstance(folder, Path):
        _make_folder(folder)
    shown = sys.stderr.isatty() and not json
    with RenderProgress(json, announced_seconds(work) if shown else 0.0) as progress:
        outcome = render_all(work, request, jobs or int(engine == "local"), progress, engine=choice, manifest=kept)
    if json:
        print_json(
            {
                "rendered": [str(path) for path in outcome.rendered],
                "pictures": [str(path) for path in outcome.pictures],
                "skipped": [str(path) for path in outcome.skipped],
                "failed": {str(path): why for path, why in outcome.failed.items()},
                "warnings": {str(path): why for path, why in outcome.warnings.items()},
                "aside": {str(path): why for path, why in found.aside.items()},
                "seconds": outcome.seconds,
                "times_real_time": round(progress.speed, 2),
            }
        )
    else:
        wrote(*map(str, (*outcome.rendered, *outcome.pictures)))
    for path, why in found.aside.items():
        say(f"left aside: {path}: {why}")
    for path, why in outcome.warnings.items():
        say(f"warning: {path}: {why}")
    for line in dict.fromkeys(why if str(path) in why else f"{path}: {why}" for path, why in outcome.failed.items()):
        say(f"error: {line}")
    counts = f"{len(outcome.rendered)} rendered, {len(outcome.skipped)} there already, {len(outcome.failed)} failed"
    say(f"{counts}; {progress.summary}" if outcome.rendered else counts)
    if outcome.failed:
        raise typer.Exit(1)


_MANIFEST = "manifest.jsonl"


def _manifest(text: str, request: RenderRequest) -> Manifest | None:
    from gramophone.offline.render import open_manifest
    from gramophone.offline.urls import parse_place

    return open_manifest(parse_place(text), request) if text else None


def _checked_tail(text: str) -> str:
    from gramophone.offline.render.render_file import parse_tail

    try:
        return parse_tail(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected seconds from 0 to 3600, or auto", param_hint="--tail") from None


def _make_folder(out: Path) -> None:
    from gramophone.realtime.files import SoundFileError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise SoundFileError(f"{out}: is a file; expected a folder") from None
    except (OSError, ValueError) as error:
        raise SoundFileError(f"{out}: cannot be made: {getattr(error, 'strerror', None) or error}") from None


def play(
    context: typer.Context,
    source: Annotated[
        Path | None, typer.Argument(metavar="[INPUT]", help="A file to play; or a preset's pack.")
    ] = None,
    preset: PresetOption = "default",
    settings: SetOption = None,
    audio: Annotated[
        str, typer.Option(help="Sound input and output: auto, jack, portaudio[:NAME], osc[:PORT] or file.")
    ] = "auto",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="With --audio file: where to write.")] = None,
    block: Annotated[int | None, typer.Option(min=1, help="Frames per block; the device's own if not given.")] = None,
    spare: Annotated[
        int | None,
        typer.Option(min=0, max=16, help="Extra blocks of latency against stalls; else as the preset needs."),
    ] = None,
    inputs: Annotated[
        str, typer.Option(metavar="ROUTE", help="The device's inputs for each channel: 1,1 or 3,4 or 1+2,0.")
    ] = "",
    outputs: Annotated[str, typer.Option(metavar="ROUTE", help="The device's outputs for each channel.")] = "",
    channels: Annotated[
        int | None, typer.Option(min=1, max=8, help="Channels of the chain, from one microphone up; 2 if not given.")
    ] = None,
    sockets: Annotated[
        int | None, typer.Option(min=1, help="Number of inputs and outputs to open, for routing while it plays.")
    ] = None,
    duration: Annotated[float | None, typer.Option(min=0.0, metavar="S", help="Stop after S seconds.")] = None,
    record: Annotated[Path | None, typer.Option(metavar="DIR", help="Record sound, preset and control events.")] = None,
    osc_port: Annotated[int, typer.Option(min=0, max=65535, help="UDP port for OSC; 0 closes it.")] = 9000,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of OSCQuery and the page; 0 closes it.")
    ] = 9001,
    midi: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="MIDI inputs; all of them if not given; none closes MIDI.")
    ] = None,
    tempo: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="Follow a tempo besides MIDI clock's: jack, jack:SERVER or link."),
    ] = None,
    jack_name: Annotated[
        str, typer.Option(metavar="NAME", help="With JACK: the client's name; gramophone if not given.")
    ] = "",
    connect: Annotated[
        bool, typer.Option("--connect/--no-connect", help="With JACK: connect the ports to the sound card's.")
    ] = True,
    host: Annotated[
        str, typer.Option(help="Address to listen on; OSC from other machines requires --allow.")
    ] = "127.0.0.1",
    allow: Annotated[
        list[str] | None, typer.Option(metavar="PEER", help="Accept OSC from this address; repeatable.")
    ] = None,
    token: Annotated[str, typer.Option(help="Token that the page requires from other machines.")] = "",
    attach: Annotated[
        bool | None,
        typer.Option(
            "--attach/--no-attach",
            help="Take over what plays on after a crash, or end it; else it is taken over if it plays on this device.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    agree: AgreeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option(help="Show only what happens, not levels.")] = False,
) -> None:
    """Play live through a preset: the microphone, JACK, or a file, which repeats until --duration is full."""
    if source and source.suffix == PACK_SUFFIX:
        preset, source = str(source), None
    chosen = partial(checked_preset, preset, settings, agreed=agree)
    if audio == "file" or (audio == "auto" and (source or out)):
        if inputs or outputs or sockets:
            raise typer.BadParameter("a file has no inputs and outputs to choose from", param_hint="--inputs")
        if channels:
            raise typer.BadParameter("goes with a device; a file has its own channels", param_hint="--channels")
        if record:
            raise typer.BadParameter("goes with a device; what a file plays is kept by --out", param_hint="--record")
        if out is not None:
            demand_result(out, source, overwrite=overwrite)
        if context.obj:
            context.obj.close()
        _play_file(chosen(), source, out, block or 256, duration, device, json=json, quiet=quiet)
        return
    if source or out:
        raise typer.BadParameter("INPUT and --out go with --audio file", param_hint="--audio")
    from gramophone.realtime.live.devices.osc.packet import reachable
    from gramophone.realtime.live.run import LiveRun, run_live
    from gramophone.realtime.live.session_settings import SessionSettings
    from gramophone.realtime.live.surfaces import Surfaces, midi_inputs

    if audio.partition(":")[0] == "osc":
        audio = reachable(audio, host, allow or ())
    audio = _with_jack_options(audio, jack_name, connect)
    session = SessionSettings(
        audio,
        channels=channels or 2,
        block=block,
        spare=spare,
        device=device,
        recorded=True,  # takes may be recorded at any time
        inputs=_route(inputs, "--inputs"),
        outputs=_route(outputs, "--outputs"),
        sockets=sockets,
    )
    live_run = LiveRun(session, duration, record, attach)
    surfaces = Surfaces(
        osc_port or None, http_port or None, host, tuple(allow or ()), token, midi_inputs(midi), tuple(tempo or ())
    )
    with _view(json=json, quiet=quiet) as view:
        run_live(
            live_run,
            chosen,
            view,
            lambda controller, session: surfaces.on(controller, session, view.show_news, view=view),
            context.obj,
        )


def _with_jack_options(audio: str, name: str, connect: bool) -> str:
    """Return the choice of device with JACK's options in it; with `auto` they mean JACK."""
    words = [f"name={name}"] * bool(name) + ["connect=no"] * (not connect)
    if not words:
        return audio
    kind, _, server = audio.partition(":")
    if kind not in ("auto", "jack") or "," in name:
        option = "--jack-name" if name else "--no-connect"
        raise typer.BadParameter("goes with --audio jack; a name has no comma", param_hint=option)
    return f"jack:{','.join((server, *words))}"


def _route(text: str, option: str) -> Route | None:
    from gramophone.realtime.dsp.channel_matrix import RouteError, parse_route

    try:
        return parse_route(text) if text else None
    except RouteError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


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
    source = source or CLIPS / "voice.flac"
    play_file(preset, source, out, block, show, duration=duration, device=device)
    if quiet or json:
        return
    if out:
        wrote(out)
    else:
        say(f"{source}: played through {preset.title!r} without a sound device; nothing is kept without --out FILE")


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
