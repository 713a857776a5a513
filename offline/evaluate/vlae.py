"""`gramophone evaluate vlae`: whether a VLAE's latents carry the sound, and whether they can be turned.

In bits per sample beside the unconditional twin; by ear: held-out phrases said again, beside 8-bit mu-law; the same in
another speaker's voice; and what turning each named latent does to the descriptor it is named after.
"""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from gramophone.models.checkpoint import Card, load
from gramophone.models.layers import mulaw
from gramophone.models.nets.posterior_collapse import measure
from gramophone.models.nets.vlae import VLAE
from gramophone.models.style.gaussian import Gaussian
from gramophone.models.style.transport import transport
from gramophone.offline.commands.traversal import monotone_share
from gramophone.offline.data.corpus import Corpus, sound
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.data.recording import Recording
from gramophone.offline.evaluate.wavenet import judged_corpus, known_voices
from gramophone.offline.extras import need
from gramophone.offline.judges.base import EvaluationError
from gramophone.offline.judges.intelligibility import phrases_of, retelling
from gramophone.offline.judges.speaker import EMBEDDING_LIBRARIES, KnownVoices, voice_of
from gramophone.offline.train.latent_names import some_of
from gramophone.offline.train.plans import VLAEPlan
from gramophone.offline.train.run_folder import RunFolder, begun_plan
from gramophone.offline.train.vlae import speakers_of
from gramophone.offline.train.vlae_resynthesis import decoded, encoded, resynthesised
from gramophone.realtime.stages.latent.parameters import MOMENTS

_BATCHES, _BATCH_S = 4, 2.0
_CLIP_S = 1.5
_SEED = 0


@dataclass(frozen=True)
class Collapse:
    """Bits per sample of held-out sound: `bits` by which latents were used, `kl` what they cost, and both `together`.

    `units` cost more than the free bits, `active` vary by Burda's measure; `nats` is each one's cost per frame.
    """

    model: str
    steps: int
    bits: dict[str, float]
    kl: float
    together: float
    units: int
    active: int
    nats: list[float]


@dataclass(frozen=True)
class Said:
    """What judges hear in a row of the table: words, quality and pitch as in `Retelling`; `voice` the cosine."""

    row: str
    word_errors: float
    quality: float
    pitch_correlation: float
    voice: float


@dataclass(frozen=True)
class Converted:
    """On what share of clips the target's voice is nearer than the source's, told the speaker alone or all of it.

    `moved` with the latents mapped to the target's as well (optimal transport between the speakers' Gaussians).
    """

    clips: int
    told: float
    moved: float


def run(
    models: Sequence[Path], data: Sequence[str], phrases: int, clips: int, temperatures: Sequence[float], *, json: bool
) -> None:
    """Judge models and print; those without latents are the twins, judged in bits alone.

    Raises:
        EvaluationError: nobody says which recordings to judge a model on, or a judge is not installed.
        CheckpointError: a file is no VLAE.
        DataError: there are no held-out recordings of its speakers.
    """
    need("pocketsphinx", "speechmos", *EMBEDDING_LIBRARIES)
    report: dict[str, object] = {"collapse": []}
    rows = []
    for path in models:
        model, card, corpus = opened(path, data)
        rows.append(collapse(str(path), model, card, corpus))
        if not json:
            _show_collapse(rows[-1:])
        if not model.shape.latents:
            continue
        found: dict[str, object] = {
            "said": [asdict(row) for row in retold(model, corpus, corpus.held_out, phrases, temperatures)],
            "converted": asdict(converted(model, card, corpus, clips)),
            "traversal": traversal(model, card, corpus, clips),
        }
        report[str(path)] = found
        if not json:
            _show(found)
    report["collapse"] = [asdict(row) for row in rows]
    if json:
        print(json_format.dumps(report), flush=True)


def opened(model: Path, data: Sequence[str]) -> tuple[VLAE, Card, Corpus]:
    """Return a model, its card, and what to judge it on: `data`, else its run's, else its known voices."""
    path = model / "model.safetensors" if model.is_dir() else model
    loaded, card = load(path, "vlae")
    folder = RunFolder(path.parent)
    plan = begun_plan(VLAEPlan, folder) if folder.begun() else VLAEPlan(data=known_voices(card), rate=card.rate)
    return cast(VLAE, loaded), card, judged_corpus(path, card, plan, data)


def collapse(name: str, model: VLAE, card: Card, corpus: Corpus) -> Collapse:
    """Measure a model's latents on two seconds each of several held-out recordings of every speaker."""
    torch.manual_seed(_SEED)
    found = measure(model, _batches(model, corpus), torch.Generator().manual_seed(_SEED))
    return Collapse(
        name,
        card.steps,
        found.bits,
        found.kl_bits,
        found.total,
        found.above(card.notes["free_nats"]),
        int(found.active.sum()),
        found.kl.tolist(),
    )


def retold(
    model: VLAE, corpus: Corpus, recordings: Sequence[Recording], phrases: int, temperatures: Sequence[float]
) -> Iterator[Said]:
    """Yield what judges hear in phrases: as recorded, through 8-bit mu-law, and said again.

    Raises:
        EvaluationError: no recording has a transcript.
    """
    chosen = phrases_of(recordings, corpus.rate, phrases)
    if not chosen:
        raise EvaluationError("no transcript of a phrase to say again; expected NAME.txt beside NAME.wav")
    recorded = [sound(recording) for recording in chosen]
    yield _said("recording", chosen, recorded, recorded, corpus.rate)
    yield _said("8-bit mu-law", chosen, recorded, [_through_mulaw(one) for one in recorded], corpus.rate)
    for temperature in temperatures:
        again = [
            resynthesised(model, one, corpus.speakers.index(recording.speaker), temperature)
            for one, recording in zip(recorded, chosen, strict=True)
        ]
        yield _said(f"said again, {temperature:g}", chosen, recorded, again, corpus.rate)


def converted(model: VLAE, card: Card, corpus: Corpus, clips: int) -> Converted:
    """Say held-out clips in every other speaker's voice and ask a judge whose it is."""
    styles = styles_of(card)
    voices = KnownVoices({name: map(sound, some_of(corpus.training, name)) for name in corpus.speakers}, corpus.rate)
    told: list[bool] = []
    moved: list[bool] = []
    for place, recording in enumerate(_clips(corpus, clips)):
        z = encoded(model, sound(recording))
        others = [name for name in corpus.speakers if name != recording.speaker]
        target = others[place // len(corpus.speakers) % len(others)]
        mapped = transport(styles[recording.speaker], styles[target])(z.transpose(1, 2)).transpose(1, 2)
        for latents, verdicts in ((z, told), (mapped, moved)):
            said = decoded(model, latents, corpus.speakers.index(target))[0]
            likeness = voices.likeness(said)
            verdicts.append(likeness[target] > likeness[recording.speaker])
    return Converted(len(told), float(np.mean(told)), float(np.mean(moved)))


def styles_of(card: Card) -> dict[str, Gaussian]:
    """Return each speaker's latents as a Gaussian."""
    return {
        name: Gaussian(torch.tensor(found["mean"]).double(), torch.tensor(found["covariance"]).double())
        for name, found in card.notes[MOMENTS].items()
    }


def traversal(model: VLAE, card: Card, corpus: Corpus, clips: int) -> dict[str, float]:
    """Return, for every named latent, on what share of clips turning it moves its descriptor all along."""
    length = round(_CLIP_S * corpus.rate)
    cut = []
    for recording in _clips(corpus, clips):
        start = recording.heard.spans[0][0]
        cut.append((sound(recording, start, start + length), corpus.speakers.index(recording.speaker)))
    named = [latent for latent, about in enumerate(card.notes["about"]) if about]
    return {card.latents[latent]: monotone_share(model, card, cut, latent) for latent in named}


def _batches(model: VLAE, corpus: Corpus) -> Iterator[list[Tensor]]:
    """Yield sound and its speakers, one recording of each speaker at a time."""
    length = round(_BATCH_S * corpus.rate) // model.shape.hop * model.shape.hop
    long = [recording for recording in corpus.held_out if recording.heard.frames >= length]
    by_speaker = [some_of(long, speaker) for speaker in corpus.speakers]
    for place in range(min(_BATCHES, *map(len, by_speaker))):
        x = torch.stack([torch.from_numpy(sound(own[place], 0, length)) for own in by_speaker])
        yield [x[:, None], *speakers_of(model, torch.arange(len(by_speaker)))]


def _clips(corpus: Corpus, count: int) -> list[Recording]:
    """Return held-out recordings that are long enough, of each speaker in turn."""
    long = [r for r in corpus.held_out if any(end - start >= _CLIP_S * corpus.rate for start, end in r.heard.spans[:1])]
    by_speaker = [some_of(long, speaker) for speaker in corpus.speakers]
    return [own[place] for place in range(max(map(len, by_speaker))) for own in by_speaker if place < len(own)][:count]


def _said(row: str, chosen: Sequence[Recording], was: Sequence[Sound], said: Sequence[Sound], rate: int) -> Said:
    texts = [recording.found.text for recording in chosen]
    found = retelling(zip(was, said, texts, strict=True), rate)
    voice = np.mean([voice_of(one, rate) @ voice_of(other, rate) for one, other in zip(was, said, strict=True)])
    return Said(row, found.word_errors, found.quality, found.pitch_correlation, float(voice))


def _through_mulaw(sound: Sound) -> Sound:
    decoded_: Sound = mulaw.decode(mulaw.encode(torch.from_numpy(sound))).numpy()
    return decoded_


def _show_collapse(rows: Sequence[Collapse]) -> None:
    table = Table("model", "steps", "right z", "shuffled", "another's", "zero", "KL", "together", "units", "active")
    for row in rows:
        bits = [f"{row.bits[name]:.3f}" for name in ("right", "shuffled", "another", "zero")]
        table.add_row(
            row.model, str(row.steps), *bits, f"{row.kl:.3f}", f"{row.together:.3f}", str(row.units), str(row.active)
        )
    Console().print(table)


def _show(found: dict[str, object]) -> None:
    console = Console()
    table = Table("", "word errors", "DNSMOS", "pitch correlation", "voice")
    for row in cast("list[dict[str, float]]", found["said"]):
        table.add_row(str(row["row"]), *(f"{row[key]:.3f}" for key in list(row)[1:]))
    console.print(table)
    conversion = cast("dict[str, float]", found["converted"])
    console.print(
        f"another's voice: on {conversion['told']:.0%} of {conversion['clips']} clips told the speaker, "
        f"{conversion['moved']:.0%} with the latents mapped as well"
    )
    for name, share in cast("dict[str, float]", found["traversal"]).items():
        console.print(f"{name:20} moves it on {share:.0%} of clips")
