"""`gramophone evaluate`: quality, intelligibility and similarity, by models that nothing was trained or tuned with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramophone.offline.cli.command_group import CommandGroup
from gramophone.offline.cli.common import (
    AddressOption,
    EngineOption,
    JsonOption,
    demand_choice,
    engine_choice,
)

_SETS = ("test", "dev")
evaluate = CommandGroup(
    help="Measure models and methods on held-out recordings, by independent models.", no_args_is_help=True
)


@evaluate.command("style")
def evaluate_style(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for table and picture.")] = Path("out/evaluate"),
    pairs: Annotated[str, typer.Option(help="Which recordings: test, or dev to tune on.")] = "test",
    engine: EngineOption = "local",
    address: AddressOption = "",
    json: JsonOption = False,
) -> None:
    """Evaluate the live style stage on pairs of real recordings, which are fetched as Debian packages."""
    from gramophone.offline.evaluate.style import run

    demand_choice(pairs, _SETS, "--pairs")
    run(out, json=json, which=pairs, engine=engine_choice(engine, address, None, 0.0))


@evaluate.command("mosaic")
def evaluate_mosaic(
    pairs: Annotated[str, typer.Option(metavar="SET", help="unseen; mosaic or further chose defaults.")] = "unseen",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for table and picture.")] = Path("out/evaluate"),
    json: JsonOption = False,
) -> None:
    """Evaluate the mosaic stage, beside the style stage, on pairs of real recordings that it was not tuned on."""
    from gramophone.offline.evaluate.mosaic import SETS, run

    demand_choice(pairs, SETS, "--pairs")
    run(out, json=json, which=pairs)


@evaluate.command("wavenet")
def evaluate_wavenet(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Models, or the folders of their runs.")],
    data: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Recordings to evaluate on; else those of its run or card.")
    ] = None,
    toggle: Annotated[bool, typer.Option(help="Generate clips of each speaker freely, and evaluate them too.")] = True,
    json: JsonOption = False,
) -> None:
    """Evaluate the speaker condition of WaveNets: bits with the right and wrong speaker, and clips of each."""
    from gramophone.offline.evaluate.wavenet import run

    run(models, data or [], toggle=toggle, json=json)


@evaluate.command("tagger")
def evaluate_tagger(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Taggers, or the folders of their runs.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", help="The tagged music; else that of the first model's run.")
    ] = None,
    split: Annotated[str, typer.Option(help="folders or shuffled.")] = "folders",
    json: JsonOption = False,
) -> None:
    """Evaluate how well taggers rank held-out clips, by tag, and how fast they are."""
    from gramophone.offline.evaluate.tagger import run

    run(models, data, split, json=json)


@evaluate.command("dream")
def evaluate_dream(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Tagged music in MagnaTagATune's layout.")],
    other: Annotated[str, typer.Option(metavar="M", help="A second tagger, which the dreams are not made with.")],
    model: Annotated[str, typer.Option(metavar="M", help="The tagger that the dreams are made with.")] = "tagger",
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="T", help="Dream of this tag; may be repeated.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each dream.")] = 300,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the sounds.")] = Path("out/dreams"),
    json: JsonOption = False,
) -> None:
    """Compare dreams of tags with naive ones and with real clips, by taggers that they were not made with."""
    from gramophone.offline.evaluate.dream import run

    run(model, other, data, tags or [], steps, out, json=json)


@evaluate.command("vocoder")
def evaluate_vocoder(
    model: Annotated[Path, typer.Argument(help="A model trained with --local, or the folder of its run.")],
    data: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Recordings to evaluate on; else those of its run.")
    ] = None,
    phrases: Annotated[int, typer.Option(min=1, help="How many held-out phrases to resynthesise.")] = 20,
    json: JsonOption = False,
) -> None:
    """Evaluate how well a WaveNet resynthesises held-out phrases: word error rate, quality, pitch."""
    from gramophone.offline.evaluate.vocoder import run

    run(model, data or [], phrases, json=json)


@evaluate.command("vlae")
def evaluate_vlae(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Models and twins, or their runs' folders.")],
    data: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Recordings to evaluate on; else those of its run or card.")
    ] = None,
    phrases: Annotated[int, typer.Option(min=1, help="How many held-out phrases to resynthesise.")] = 20,
    clips: Annotated[int, typer.Option(min=1, help="How many clips to convert, and to vary latents on.")] = 20,
    temperature: Annotated[
        list[float] | None, typer.Option(metavar="T", help="Sampling temperature of the resynthesis; may be repeated.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Evaluate VLAEs: bits beside the twin's, resynthesis, conversion, and the effect of each latent."""
    from gramophone.offline.evaluate.vlae import run

    run(models, data or [], phrases, clips, temperature or [1.0], json=json)


@evaluate.command("voice")
def evaluate_voice(
    model: Annotated[Path, typer.Argument(help="A voice, or the folder of its run.")],
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="Recordings to evaluate on, of any of its speakers; else those of its run."),
    ] = None,
    unseen: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="Recordings of unseen speakers, for one-shot conversion from 20 s each."),
    ] = None,
    phrases: Annotated[int, typer.Option(min=1, help="How many held-out phrases of each speaker.")] = 4,
    likeness: Annotated[
        float, typer.Option(min=0, max=1, help="How far latents are transported to the target speaker's.")
    ] = 0.0,
    character: Annotated[
        float, typer.Option(min=0, max=2, help="Distance of the target from the mean speaker; 1: its own.")
    ] = 1.0,
    part: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="resynthesis, conversion, instruments, one_shot, probe, gate; all but gate if not given.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Evaluate resynthesis and conversion by a voice: quality, word error rate, pitch, speaker similarity."""
    from gramophone.offline.evaluate.voice import PARTS, USUAL_PARTS, VoiceRequest, run

    for name in part or ():
        demand_choice(name, PARTS, "--part")
    run(model, data or [], VoiceRequest(phrases, unseen or [], likeness, character, part or USUAL_PARTS), json=json)


@evaluate.command("voice-peer")
def evaluate_voice_peer(
    model: Annotated[Path, typer.Argument(help="A codec in TorchScript with encode and decode, as RAVE exports it.")],
    voice: Annotated[
        Path, typer.Argument(help="The voice on whose phrases it is evaluated, or the folder of its run.")
    ],
    data: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Recordings to evaluate on; else those of the voice's run.")
    ] = None,
    phrases: Annotated[int, typer.Option(min=1, help="How many held-out phrases of each speaker.")] = 4,
    json: JsonOption = False,
) -> None:
    """Evaluate another maker's codec as `voice` does, on the same phrases, with its speed and size."""
    from gramophone.offline.evaluate.voice_peer import run

    run(model, voice, data or [], phrases, json=json)


@evaluate.command("match")
def evaluate_match(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results; a next call goes on there.")] = Path(
        "out/evaluate"
    ),
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to search for each.")] = 2.0,
    evaluations: Annotated[int | None, typer.Option(min=1, help="End after so many trials, if that is sooner.")] = None,
    settings: Annotated[int, typer.Option(min=1, help="How many hidden settings.")] = 20,
    jobs: Annotated[int, typer.Option(min=0, help="Trials at a time; 0 is one for each core.")] = 0,
    presets: Annotated[
        str, typer.Option(metavar="HALF", help="Judge the prior on presets' effects instead: test, or dev to tune on.")
    ] = "",
    prior: Annotated[
        list[float] | None, typer.Option(min=0.0, metavar="W", help="With --presets: weights to compare with none.")
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = "",
    json: JsonOption = False,
) -> None:
    """Hide chains of effects behind held-out voices and let `match` find their settings."""
    from gramophone.offline.evaluate import match, match_prior
    from gramophone.offline.match.search import Budget

    budget = Budget(minutes * 60, evaluations or float("inf"))
    if presets:
        if engine != "local":
            raise typer.BadParameter("--presets runs on this machine only; expected local", param_hint="--engine")
        match_prior.run(out, budget, presets, prior or (), jobs, json=json)
        return
    if prior:
        raise typer.BadParameter("expected with --presets dev or test only", param_hint="--prior")
    match.run(out, budget, settings, jobs, json=json, engine=engine_choice(engine, address, None, 0.0))


@evaluate.command("stylise")
def evaluate_stylise(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results; a next call goes on there.")] = Path(
        "out/evaluate"
    ),
    methods: Annotated[list[str] | None, typer.Option("--method", help="Which to evaluate; all if not given.")] = None,
    pairs: Annotated[str, typer.Option(help="Which recordings: test, or dev to tune on.")] = "test",
    tagger: Annotated[
        str, typer.Option(metavar="M", help="The tagger to stylise by; the usual one if not given.")
    ] = "",
    seconds: Annotated[float, typer.Option(min=1.0, max=10.0, metavar="S", help="How much of each content.")] = 4.0,
    steps: Annotated[int, typer.Option(min=0, help="Slow methods: how many; 0 is the method's own.")] = 0,
    engine: EngineOption = "local",
    address: AddressOption = "",
    json: JsonOption = False,
) -> None:
    """Evaluate every method of style transfer on the same pairs of real recordings."""
    from gramophone.offline.evaluate.stylise import LIVE, StyliseTrial, run
    from gramophone.offline.stylise.method import METHODS

    known = [LIVE, *METHODS]
    for name in methods or ():
        demand_choice(name, known, "--method")
    demand_choice(pairs, _SETS, "--pairs")
    choice = engine_choice(engine, address, None, 0.0)
    run(out, methods or known, StyliseTrial(seconds, steps, tagger), pairs, json=json, engine=choice)


@evaluate.command("descent")
def evaluate_descent(
    model: Annotated[str, typer.Option(metavar="M", help="A WaveNet: one that comes with this, or a file.")] = "garble",
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs of recordings.")] = 2,
    sweeps: Annotated[int, typer.Option(min=1, help="How many sweeps over each.")] = 20,
    json: JsonOption = False,
) -> None:
    """Compare optimisers of a WaveNet's style loss: sweeps over levels, relaxation, and those of 2016."""
    from gramophone.offline.evaluate.descent import run

    run(model, pairs, sweeps, json=json)


@evaluate.command("pitch")
def evaluate_pitch(
    recordings: Annotated[str, typer.Option(help="Which recordings: test, or dev to tune on.")] = "test",
    trackers: Annotated[
        list[str] | None, typer.Option("--tracker", metavar="NAME", help="Which to evaluate; all if not given.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Evaluate on every n-th case of a kind only.")] = 1,
    json: JsonOption = False,
) -> None:
    """Evaluate live pitch trackers on held-out voices, synthetic voices of known pitch, and notes of instruments."""
    from gramophone.offline.evaluate.pitch import run

    demand_choice(recordings, _SETS, "--recordings")
    run(recordings, trackers or [], every, json=json)
