"""`gramophone evaluate vlae`: whether a VLAE's latents carry the sound, and whether they can be controlled.

Bits per sample beside the unconditional twin; held-out phrases resynthesised, beside 8-bit mu-law; conversion to the
other speakers; and the effect of each named latent on the descriptor that it is named after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
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
from gramophone.offline.evaluate.base import Column, EvaluationError, print_rows, report
from gramophone.offline.evaluate.recordings import evaluation_corpus, model_path, packaged_voices
from gramophone.offline.extras import need
from gramophone.offline.judges.intelligibility import intelligibility, phrases_of
from gramophone.offline.judges.speaker import EMBEDDING_LIBRARIES, ReferenceSpeakers, speaker_embedding
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
    """Bits per sample of held-out sound: `bits` by the latents used, `kl` the KL term, and the sum, `together`.

    `units` is the number of latents whose KL exceeds the free bits, `active` that of active units by the measure of
    Burda et al. 2016; `nats` is each latent's KL per frame.
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
class Resynthesis:
    """A row of figures: words, quality and pitch as in `Intelligibility`, and the speaker similarity, a cosine."""

    row: str
    word_errors: float
    quality: float
    pitch_correlation: float
    similarity: float


@dataclass(frozen=True)
class Converted:
    """Share of clips whose speaker embedding is nearer to the target than to the source.

    `conditioned` with the target as the decoder's condition alone, `transported` with the latents mapped to the
    target's as well (optimal transport between the speakers' Gaussians).
    """

    clips: int
    conditioned: float
    transported: float


def run(
    models: Sequence[Path], data: Sequence[str], phrases: int, clips: int, temperatures: Sequence[float], *, json: bool
) -> None:
    """Evaluate models and print; those without latents are the twins, evaluated in bits alone.

    Raises:
        EvaluationError: no recordings to evaluate a model on are given or known.
        MissingLibraryError: the recogniser or the speaker embedding is not installed.
        CheckpointError: a file is no VLAE.
        DataError: there are no held-out recordings of its speakers.
    """
    need("pocketsphinx", "speechmos", *EMBEDDING_LIBRARIES)
    rows, found = [], dict[str, dict[str, Any]]()
    for path in models:
        model, card, corpus = opened(path, data)
        rows.append(asdict(collapse(str(path), model, card, corpus)))
        if not json:
            print_rows(_COLLAPSE, [rows[-1] | rows[-1]["bits"]])
        if not model.shape.latents:
            continue
        found[str(path)] = {
            "resynthesis": [asdict(row) for row in resynthesis(model, corpus, corpus.held_out, phrases, temperatures)],
            "converted": asdict(converted(model, card, corpus, clips)),
            "traversal": traversal(model, card, corpus, clips),
        }
        if not json:
            _show(found[str(path)])
    report({"collapse": rows, **found}, json=json, show=lambda: None)


def opened(model: Path, data: Sequence[str]) -> tuple[VLAE, Card, Corpus]:
    """Return a model, its card, and the recordings to evaluate it on: `data`, else its run's, else packaged voices."""
    path = model_path(model)
    loaded, card = load(path, "vlae")
    folder = RunFolder(path.parent)
    plan = begun_plan(VLAEPlan, folder) if folder.exists() else VLAEPlan(data=packaged_voices(card), rate=card.rate)
    return cast(VLAE, loaded), card, evaluation_corpus(path, card, plan, data)


def collapse(name: str, model: VLAE, card: Card, corpus: Corpus) -> Collapse:
    """Return the use of a model's latents on two seconds each of several held-out recordings of every speaker."""
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


def resynthesis(
    model: VLAE, corpus: Corpus, recordings: Sequence[Recording], phrases: int, temperatures: Sequence[float]
) -> Iterator[Resynthesis]:
    """Yield the figures of phrases as recorded, through 8-bit mu-law, and resynthesised at each temperature.

    Raises:
        EvaluationError: no recording has a transcript.
    """
    chosen = phrases_of(recordings, corpus.rate, phrases)
    if not chosen:
        raise EvaluationError("no transcript of a held-out phrase; expected NAME.txt beside NAME.wav")
    recorded = [sound(recording) for recording in chosen]
    yield _scored("recording", chosen, recorded, recorded, corpus.rate)
    yield _scored("8-bit mu-law", chosen, recorded, [_through_mulaw(one) for one in recorded], corpus.rate)
    for temperature in temperatures:
        again = [
            resynthesised(model, one, corpus.speakers.index(recording.speaker), temperature)
            for one, recording in zip(recorded, chosen, strict=True)
        ]
        yield _scored(f"resynthesis, temperature {temperature:g}", chosen, recorded, again, corpus.rate)


def converted(model: VLAE, card: Card, corpus: Corpus, clips: int) -> Converted:
    """Convert held-out clips to the other speakers in turn, and compare speaker embeddings."""
    styles = styles_of(card)
    speakers = ReferenceSpeakers(
        {name: map(sound, some_of(corpus.training, name)) for name in corpus.speakers}, corpus.rate
    )
    conditioned: list[bool] = []
    transported: list[bool] = []
    for place, recording in enumerate(_clips(corpus, clips)):
        z = encoded(model, sound(recording))
        others = [name for name in corpus.speakers if name != recording.speaker]
        target = others[place // len(corpus.speakers) % len(others)]
        move = transport(styles[recording.speaker], styles[target])
        mapped = torch.from_numpy(move(z[0].t().numpy()).T.copy())[None]
        for latents, nearer in ((z, conditioned), (mapped, transported)):
            converted_clip = decoded(model, latents, corpus.speakers.index(target))[0]
            similarity = speakers.similarity(converted_clip)
            nearer.append(similarity[target] > similarity[recording.speaker])
    return Converted(len(conditioned), float(np.mean(conditioned)), float(np.mean(transported)))


def styles_of(card: Card) -> dict[str, Gaussian]:
    """Return each speaker's latents as a Gaussian."""
    return {
        name: Gaussian(np.array(found["mean"], np.float64), np.array(found["covariance"], np.float64))
        for name, found in card.notes[MOMENTS].items()
    }


def traversal(model: VLAE, card: Card, corpus: Corpus, clips: int) -> dict[str, float]:
    """Return, for every named latent, the share of clips on which its descriptor rises with it."""
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
    """Return held-out recordings of 1.5 s or more without a pause, of each speaker in turn."""
    long = [r for r in corpus.held_out if any(end - start >= _CLIP_S * corpus.rate for start, end in r.heard.spans[:1])]
    by_speaker = [some_of(long, speaker) for speaker in corpus.speakers]
    return [own[place] for place in range(max(map(len, by_speaker))) for own in by_speaker if place < len(own)][:count]


def _scored(
    row: str, chosen: Sequence[Recording], before: Sequence[Sound], after: Sequence[Sound], rate: int
) -> Resynthesis:
    texts = [recording.found.text for recording in chosen]
    found = intelligibility(zip(before, after, texts, strict=True), rate)
    pairs = zip(before, after, strict=True)
    similarity = np.mean([speaker_embedding(one, rate) @ speaker_embedding(other, rate) for one, other in pairs])
    return Resynthesis(row, found.word_errors, found.quality, found.pitch_correlation, float(similarity))


def _through_mulaw(sound: Sound) -> Sound:
    decoded_: Sound = mulaw.decode(mulaw.encode(torch.from_numpy(sound))).numpy()
    return decoded_


_COLLAPSE = (
    Column("model", "model"),
    Column("steps", "steps"),
    Column("right", "right z", ".3f"),
    Column("shuffled", "shuffled", ".3f"),
    Column("another", "another's", ".3f"),
    Column("zero", "zero", ".3f"),
    Column("kl", "KL", ".3f"),
    Column("together", "together", ".3f"),
    Column("units", "units"),
    Column("active", "active"),
)
_RESYNTHESIS = (
    Column("row", ""),
    Column("word_errors", "word error rate", ".3f"),
    Column("quality", "DNSMOS", ".3f"),
    Column("pitch_correlation", "pitch correlation", ".3f"),
    Column("similarity", "speaker similarity", ".3f"),
)


def _show(found: Mapping[str, Any]) -> None:
    print_rows(_RESYNTHESIS, found["resynthesis"])
    conversion = found["converted"]
    print(
        f"conversion: nearer to the target on {conversion['conditioned']:.0%} of {conversion['clips']} clips, "
        f"{conversion['transported']:.0%} with the latents transported as well"
    )
    for name, share in found["traversal"].items():
        print(f"{name:20} moves its descriptor on {share:.0%} of clips")
