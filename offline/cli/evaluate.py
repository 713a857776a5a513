"""`gramophone evaluate`: how good it sounds, by independent judges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramophone.offline.cli.common import JsonOption

evaluate = typer.Typer(help="Measure how good it sounds, by independent judges.", no_args_is_help=True)


@evaluate.command("style")
def evaluate_style(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for table and picture.")] = Path("out/evaluate"),
    pairs: Annotated[str, typer.Option(help="Which recordings: test, or dev to tune on.")] = "test",
    json: JsonOption = False,
) -> None:
    """Judge the live style stage on pairs of real recordings, which are fetched as Debian packages."""
    from gramophone.offline.evaluate.style import run

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
    """Judge how well taggers rank clips that they never heard, by tag, and how fast they are."""
    from gramophone.offline.evaluate.tagger import run

    run(models, data, split, json=json)


@evaluate.command("dream")
def evaluate_dream(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Tagged music in MagnaTagATune's layout.")],
    other: Annotated[str, typer.Option(metavar="M", help="A tagger to judge by that is not the one that dreams.")],
    model: Annotated[str, typer.Option(metavar="M", help="The tagger that dreams.")] = "tagger",
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="T", help="Of what; may be repeated.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each dream.")] = 300,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the sounds.")] = Path("out/dreams"),
    json: JsonOption = False,
) -> None:
    """Compare dreams of tags with naive ones and with real clips, by taggers that no dream was made by."""
    from gramophone.offline.evaluate.dream import run

    run(model, other, data, tags or [], steps, out, json=json)


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
    from gramophone.offline.evaluate.vocoder import run

    run(model, data or [], phrases, json=json)


@evaluate.command("vlae")
def evaluate_vlae(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Models and twins, or their runs' folders.")],
    data: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Recordings to judge on; else those of its run or card.")
    ] = None,
    phrases: Annotated[int, typer.Option(min=1, help="How many held-out phrases to say again.")] = 20,
    clips: Annotated[int, typer.Option(min=1, help="How many clips to convert, and to turn latents on.")] = 20,
    temperature: Annotated[
        list[float] | None, typer.Option(metavar="T", help="How freely to say phrases again; may be repeated.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Judge VLAEs: bits beside the twin's, phrases said again, other speakers' voices, what turning latents does."""
    from gramophone.offline.evaluate.vlae import run

    run(models, data or [], phrases, clips, temperature or [1.0], json=json)


@evaluate.command("voice")
def evaluate_voice(
    model: Annotated[Path, typer.Argument(help="A voice, or the folder of its run.")],
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="Recordings to judge on, by whoever is heard there; else those of its run."),
    ] = None,
    unseen: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="People it never heard, to be learnt from 20 s each.")
    ] = None,
    phrases: Annotated[int, typer.Option(min=1, help="How many held-out phrases of each speaker.")] = 4,
    likeness: Annotated[
        float, typer.Option(min=0, max=1, help="How far latents of who sings as another are moved to the other's.")
    ] = 0.0,
    character: Annotated[
        float, typer.Option(min=0, max=2, help="How far from nobody who is sung as is: 1, as they are.")
    ] = 1.0,
    part: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="resynthesis, conversion, instruments, one_shot or probe; all if not given."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Judge whether a voice sings what it heard, and as whom: quality, words, pitch, likeness."""
    from gramophone.offline.evaluate.voice import PARTS, VoiceRequest, run

    if strange := [name for name in part or () if name not in PARTS]:
        raise typer.BadParameter(f"{strange[0]}: expected one of {', '.join(PARTS)}", param_hint="--part")
    run(model, data or [], VoiceRequest(phrases, unseen or [], likeness, character, part or PARTS), json=json)


@evaluate.command("voice-peer")
def evaluate_voice_peer(
    model: Annotated[Path, typer.Argument(help="A codec in TorchScript with encode and decode, as RAVE exports it.")],
    voice: Annotated[Path, typer.Argument(help="The voice on whose phrases it is judged, or the folder of its run.")],
    data: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Recordings to judge on; else those of the voice's run.")
    ] = None,
    phrases: Annotated[int, typer.Option(min=1, help="How many held-out phrases of each speaker.")] = 4,
    json: JsonOption = False,
) -> None:
    """Judge another maker's codec by the judges of `voice`, on the same phrases; say how fast and large it is."""
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
    json: JsonOption = False,
) -> None:
    """Hide chains of effects behind held-out voices and let `match` find their settings."""
    from gramophone.offline.evaluate.match import run
    from gramophone.offline.match.search import Budget

    run(out, Budget(minutes * 60, evaluations or float("inf")), settings, jobs, json=json)


@evaluate.command("stylise")
def evaluate_stylise(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results; a next call goes on there.")] = Path(
        "out/evaluate"
    ),
    methods: Annotated[list[str] | None, typer.Option("--method", help="Which to judge; all if not given.")] = None,
    pairs: Annotated[str, typer.Option(help="Which recordings: test, or dev to tune on.")] = "test",
    tagger: Annotated[str, typer.Option(metavar="M", help="By which tagger, if not by the usual.")] = "",
    seconds: Annotated[float, typer.Option(min=1.0, max=10.0, metavar="S", help="How much of each content.")] = 4.0,
    steps: Annotated[int, typer.Option(min=0, help="Slow methods: how many; 0 is the method's own.")] = 0,
    json: JsonOption = False,
) -> None:
    """Judge every method of style transfer on the same pairs of real recordings."""
    from gramophone.offline.evaluate.stylise import LIVE, StyliseTrial, run
    from gramophone.offline.stylise.method import METHODS

    known = [LIVE, *METHODS]
    for name in methods or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r}: expected one of {', '.join(known)}", param_hint="--method")
    if pairs not in ("test", "dev"):
        raise typer.BadParameter(f"{pairs!r}: expected test or dev", param_hint="--pairs")
    run(out, methods or known, StyliseTrial(seconds, steps, tagger), pairs, json=json)


@evaluate.command("descent")
def evaluate_descent(
    model: Annotated[str, typer.Option(metavar="M", help="A WaveNet: one that comes with this, or a file.")] = "garble",
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs of recordings.")] = 2,
    sweeps: Annotated[int, typer.Option(min=1, help="How many sweeps over each.")] = 20,
    json: JsonOption = False,
) -> None:
    """Compare the ways to a WaveNet's style: sweeps over levels, real numbers, and what was tried in 2016."""
    from gramophone.offline.evaluate.descent import run

    run(model, pairs, sweeps, json=json)


@evaluate.command("pitch")
def evaluate_pitch(
    recordings: Annotated[str, typer.Option(help="Which recordings: test, or dev to tune on.")] = "test",
    trackers: Annotated[
        list[str] | None, typer.Option("--tracker", metavar="NAME", help="Which to judge; all if not given.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Judge on every so many-th case of a kind only.")] = 1,
    json: JsonOption = False,
) -> None:
    """Judge live pitch trackers on held-out voices, on voices made with a known pitch, and on notes of instruments."""
    from gramophone.offline.evaluate.pitch import run

    if recordings not in ("test", "dev"):
        raise typer.BadParameter(f"{recordings!r}: expected test or dev", param_hint="--recordings")
    run(recordings, trackers or [], every, json=json)
