"""`gramophone evaluate wavenet`: whether a WaveNet listens to who is to speak.

In bits per sample of held-out recordings, told the right speaker or a wrong one; and by ear: clips of each speaker out
of nothing, whose voicing, pitch and speaker are judged by others (pYIN, Mauch and Dixon 2014; the speaker embedding of
Wan et al. 2018 in Resemblyzer).
"""

from __future__ import annotations

import json as json_format
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from gramophone.models.checkpoint import Card, load
from gramophone.models.nets.wavenet import WaveNet, one_hot_speaker
from gramophone.offline.data import corpora
from gramophone.offline.data.corpus import Corpus, gather, sound
from gramophone.offline.data.pyin import pitch
from gramophone.offline.extras import need
from gramophone.offline.judges.base import EvaluationError
from gramophone.offline.judges.speaker import EMBEDDING_LIBRARIES, KnownVoices
from gramophone.offline.train.crops import Batch
from gramophone.offline.train.plan import TrainingPlan
from gramophone.offline.train.plans import WaveNetPlan
from gramophone.offline.train.run_folder import RunFolder, begun_plan
from gramophone.offline.train.wavenet import WaveNetTraining, bits_of
from gramophone.realtime.stages.wavenet.sampler import Sampler

CLIPS, CLIP_S = 20, 3.0
"""What the toggle test hears of each speaker."""
_REFERENCES = 20
"""Held-out recordings by which the judge knows a speaker."""
_VOICED_SHARE = 0.25
"""A clip with voice in so much of its frames is voiced."""
_MODEL = "model.safetensors"
TARGETS = {"voiced": 0.8, "sexes_auc": 0.95, "right_speaker": 0.7}


@dataclass(frozen=True)
class Bits:
    """Bits per sample of held-out recordings, the mean over speakers.

    `right` told who speaks (or told nothing), `wrong` told each of the others in turn; None if the model is not told.
    """

    model: str
    steps: int
    seed: int
    conditional: bool
    right: float
    wrong: float | None
    by_speaker: Mapping[str, float]


@dataclass(frozen=True)
class ConditionToggle:
    """What is heard in clips of each speaker out of nothing.

    `voiced` is the share of voiced clips; `sexes_auc` how well their median pitch tells women from men; `right_speaker`
    how often the nearest voice is the one that was asked for; `pitch_hz` the median of each speaker's clips,
    `pitch_was_hz` that of the speaker's recordings.
    """

    clips: int
    voiced: float
    sexes_auc: float | None
    right_speaker: float
    pitch_hz: Mapping[str, float]
    pitch_was_hz: Mapping[str, float]


def run(models: Sequence[Path], data: Sequence[str], *, toggle: bool, json: bool) -> None:
    """Judge models and print.

    Raises:
        EvaluationError: nobody says which recordings to judge a model on, or a judge is not installed.
        CheckpointError: a file is no WaveNet.
        DataError: there are no held-out recordings of its speakers.
    """
    bits = [measure_bits(model, data) for model in models]
    toggles = {str(model): listen(model, data) for model in models} if toggle else {}
    if json:
        report = {
            "bits": [asdict(row) for row in bits],
            "conditioning": summary(bits),
            "toggle": {name: asdict(found) for name, found in toggles.items()},
        }
        print(json_format.dumps(report), flush=True)
        return
    _show_bits(bits)
    for name, found in toggles.items():
        _show_toggle(name, found)


def measure_bits(model: Path, data: Sequence[str]) -> Bits:
    """Return what held-out recordings cost a model."""
    net, card, plan, corpus = opened(model, data)
    training = WaveNetTraining(plan, corpus)
    right, wrong = {}, []
    for name, batch in zip(training.validation_names, training.validation_batches(), strict=True):
        right[name] = _mean_bits(net, batch)
        if card.speakers:
            others = [place for place in range(len(card.speakers)) if place != int(batch.speaker[0])]
            told = (batch._replace(speaker=torch.full_like(batch.speaker, place)) for place in others)
            wrong.append(np.mean([_mean_bits(net, batch) for batch in told]))
    return Bits(
        str(model),
        card.steps,
        plan.seed,
        bool(card.speakers),
        float(np.mean(list(right.values()))),
        float(np.mean(wrong)) if wrong else None,
        right,
    )


def summary(bits: Sequence[Bits]) -> dict[str, Any]:
    """Return means and spreads over seeds of models told and not told, and how far they are apart."""
    told = [row.right for row in bits if row.conditional]
    alone = [row.right for row in bits if not row.conditional]
    if not told or not alone:
        return {}
    return {
        "conditional": {"mean": float(np.mean(told)), "spread": _spread(told)},
        "unconditional": {"mean": float(np.mean(alone)), "spread": _spread(alone)},
        "margin": float(np.mean(alone) - np.mean(told)),
        "beyond_noise": min(alone) > max(told),
    }


def listen(model: Path, data: Sequence[str]) -> ConditionToggle:
    """Return what judges hear in clips of each speaker of a model."""
    need(*EMBEDDING_LIBRARIES)
    net, card, _, corpus = opened(model, data)
    if not card.speakers or net.shape.vector or net.shape.local:
        raise EvaluationError(f"{model}: expected a model that is told who speaks, and nothing else")
    voices = KnownVoices(
        {name: (sound(recording) for recording in _of(corpus, name)) for name in corpus.speakers}, corpus.rate
    )
    medians: dict[str, list[float]] = defaultdict(list)
    right = []
    for place, speaker in enumerate(card.speakers):
        for clip in speak(net, place, card):
            hz = pitch(clip, card.rate)
            if np.mean(hz > 0) >= _VOICED_SHARE:
                medians[speaker].append(float(np.median(hz[hz > 0])))
            right.append(voices.nearest(clip) == speaker)
    clips = CLIPS * len(card.speakers)
    return ConditionToggle(
        clips,
        sum(map(len, medians.values())) / clips,
        sexes_auc(medians),
        float(np.mean(right)),
        {speaker: float(np.median(found)) for speaker, found in medians.items()},
        {speaker: _pitch_of(corpus, speaker) for speaker in card.speakers},
    )


def speak(net: WaveNet, speaker: int, card: Card, seed: int = 0) -> NDArray[np.float32]:
    """Return clips of one speaker out of nothing, `(clips, frames)`, at the temperature of the card, or 1."""
    told, _ = net.conditions(torch.zeros(1, 0, 1), None, one_hot_speaker(speaker, net.shape.speakers))
    sampler = Sampler(net, CLIPS, seed=seed + speaker)
    return sampler.generate(round(CLIP_S * card.rate), told.detach().numpy(), float(card.notes.get("temperature", 1.0)))


def sexes_auc(medians: Mapping[str, Sequence[float]]) -> float | None:
    """Return how often a woman's clip is higher than a man's, of all pairs; None if only one of them speaks."""
    by_sex: dict[bool | None, list[float]] = defaultdict(list)
    for speaker, found in medians.items():
        voice = corpora.VOICES.get(speaker)
        by_sex[voice.female if voice else None] += found
    women, men = np.array(by_sex[True]), np.array(by_sex[False])
    if not len(women) or not len(men):
        return None
    return float(np.mean((women[:, None] > men) + 0.5 * (women[:, None] == men)))


def opened(model: Path, data: Sequence[str]) -> tuple[WaveNet, Card, WaveNetPlan, Corpus]:
    """Return a model, its card, its plan, and what to judge it on: `data`, else its run's, else its known voices."""
    path = model / _MODEL if model.is_dir() else model
    loaded, card = load(path, "wavenet")
    net, folder = cast(WaveNet, loaded), RunFolder(path.parent)
    plan = begun_plan(WaveNetPlan, folder) if folder.begun() else _plan_of(net, card)
    return net, card, plan, judged_corpus(path, card, plan, data)


def judged_corpus(path: Path, card: Card, plan: TrainingPlan, data: Sequence[str]) -> Corpus:
    """Return what to judge a model on: `data`, else what its plan names.

    Raises:
        EvaluationError: neither names anything.
    """
    places = tuple(data) or plan.data
    if not places:
        raise EvaluationError(f"{path}: no recordings to judge it on; expected --data")
    return gather(places, card.rate, speakers=card.speakers or plan.speakers, layout=plan.layout)


def _plan_of(net: WaveNet, card: Card) -> WaveNetPlan:
    """Return as much of a plan as a model away from its run's folder still tells."""
    local = str(card.notes.get("local", ""))
    return WaveNetPlan(
        data=known_voices(card),
        rate=card.rate,
        conditional=bool(card.speakers),
        local=local,
        hop=card.hop if local else WaveNetPlan.hop,
        bands=net.shape.local - (2 if local.endswith("pitch") else 0),
        pauses=bool(card.notes.get("pauses", True)),
    )


def known_voices(card: Card) -> tuple[str, ...]:
    """Return where the recordings of a model's speakers can be had, as far as they are known voices."""
    return tuple(f"voice:{name}" for name in card.speakers if name in corpora.VOICES)


@torch.inference_mode()
def _mean_bits(net: WaveNet, batch: Batch) -> float:
    return float(bits_of(net, batch)[batch.scored].mean())


def _of(corpus: Corpus, speaker: str) -> list[Any]:
    own = [recording for recording in corpus.held_out if recording.speaker == speaker]
    return sorted(own, key=lambda recording: -recording.heard.audible)[:_REFERENCES]


def _pitch_of(corpus: Corpus, speaker: str) -> float:
    found = np.concatenate([pitch(sound(recording), corpus.rate) for recording in _of(corpus, speaker)])
    return float(np.median(found[found > 0]))


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _show_bits(bits: Iterable[Bits]) -> None:
    rows = list(bits)
    table = Table("model", "told", "seed", "steps", "bits, right", "bits, wrong")
    for row in rows:
        wrong = "" if row.wrong is None else f"{row.wrong:.3f}"
        told = "the speaker" if row.conditional else "nothing"
        table.add_row(row.model, told, str(row.seed), str(row.steps), f"{row.right:.3f}", wrong)
    console = Console()
    console.print(table)
    if found := summary(rows):
        for name in ("conditional", "unconditional"):
            console.print(f"{name:14} {found[name]['mean']:.3f} ± {found[name]['spread']:.3f} bits over seeds")
        verdict = "beyond the noise of seeds" if found["beyond_noise"] else "WITHIN the noise of seeds"
        console.print(f"margin         {found['margin']:.3f} bits, {verdict}")


def _show_toggle(name: str, found: ConditionToggle) -> None:
    console = Console()
    console.print(f"{name}: {found.clips} clips of {CLIP_S:g} s out of nothing")
    for figure, bound in TARGETS.items():
        value = getattr(found, figure)
        if value is not None:
            console.print(f"{figure:14} {value:.3f}  ≥ {bound}  {'reached' if value >= bound else 'MISSED'}")
    for speaker, hz in found.pitch_was_hz.items():
        said = f"{found.pitch_hz[speaker]:.0f}" if speaker in found.pitch_hz else "none"
        console.print(f"  {speaker}: {said} Hz (recordings {hz:.0f})")
