"""`gramophone evaluate wavenet`: whether a WaveNet uses its speaker condition.

By bits per sample of held-out recordings, conditioned on the right speaker or on a wrong one; and by clips that it
generates freely for each speaker, whose voicing and pitch are measured by pYIN (Mauch and Dixon 2014) and whose speaker
by the embedding of Wan et al. 2018 in Resemblyzer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.checkpoint import Card, load
from gramophone.models.nets.wavenet import WaveNet, one_hot_speaker
from gramophone.offline.data.corpora import VOICES
from gramophone.offline.data.corpus import Corpus, sound
from gramophone.offline.data.pyin import pitch
from gramophone.offline.evaluate.base import Column, EvaluationError, Outcome, Target, outcomes, print_rows, report
from gramophone.offline.evaluate.recordings import evaluation_corpus, model_path, packaged_voices
from gramophone.offline.extras import need
from gramophone.offline.judges.speaker import EMBEDDING_LIBRARIES, ReferenceSpeakers
from gramophone.offline.train.crops import Batch
from gramophone.offline.train.plans import WaveNetPlan
from gramophone.offline.train.run_folder import RunFolder, begun_plan
from gramophone.offline.train.wavenet import WaveNetTraining, bits_of
from gramophone.realtime.stages.wavenet.sampler import Sampler

CLIPS, CLIP_S = 20, 3.0
"""Number and length of the clips of each speaker."""
_REFERENCES = 20
"""Held-out recordings whose mean embedding stands for a speaker."""
_VOICED_SHARE = 0.25
"""Share of voiced frames from which a clip counts as voiced."""
TARGETS = (Target("voiced", 0.8), Target("sexes_auc", 0.95), Target("right_speaker", 0.7))


@dataclass(frozen=True)
class Bits:
    """Bits per sample of held-out recordings, the mean over speakers.

    `right` conditioned on the speaker (or on nothing), `wrong` on each of the others in turn; None for a model without
    speakers.
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
    """Figures of clips that a model generates freely for each speaker.

    `voiced` is the share of voiced clips; `sexes_auc` the ROC-AUC of their median pitch for women against men;
    `right_speaker` how often the nearest speaker is the one of the condition; `pitch_hz` the median of each speaker's
    clips, `pitch_was_hz` that of the speaker's recordings.
    """

    clips: int
    voiced: float
    sexes_auc: float | None
    right_speaker: float
    pitch_hz: Mapping[str, float]
    pitch_was_hz: Mapping[str, float]

    def outcomes(self) -> list[Outcome]:
        """Return the figures beside the targets; without both sexes there is no `sexes_auc`."""
        figures = {"voiced": self.voiced, "right_speaker": self.right_speaker}
        both = {} if self.sexes_auc is None else {"sexes_auc": self.sexes_auc}
        return outcomes(TARGETS, figures | both, self.clips)


def run(models: Sequence[Path], data: Sequence[str], *, toggle: bool, json: bool) -> None:
    """Evaluate models and print; with `toggle`, also on freely generated clips.

    Raises:
        EvaluationError: no recordings to evaluate a model on are given or known.
        MissingLibraryError: the speaker embedding is not installed.
        CheckpointError: a file is no WaveNet.
        DataError: there are no held-out recordings of its speakers.
    """
    bits = [measure_bits(model, data) for model in models]
    toggles = {str(model): measure_toggle(model, data) for model in models} if toggle else {}
    found = {
        "bits": [asdict(row) for row in bits],
        "conditioning": summary(bits),
        "toggle": {name: asdict(clips) for name, clips in toggles.items()},
    }

    def show() -> None:
        _show_bits(bits)
        for name, clips in toggles.items():
            _show_toggle(name, clips)

    report(found, [outcome for clips in toggles.values() for outcome in clips.outcomes()], json=json, show=show)


def measure_bits(model: Path, data: Sequence[str]) -> Bits:
    """Return the bits per sample of held-out recordings."""
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
    """Return means and standard deviations over seeds of models with and without speakers, and their difference."""
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


def measure_toggle(model: Path, data: Sequence[str]) -> ConditionToggle:
    """Return the figures of clips that a model generates freely for each of its speakers."""
    need(*EMBEDDING_LIBRARIES)
    net, card, _, corpus = opened(model, data)
    if not card.speakers or net.shape.vector or net.shape.local:
        raise EvaluationError(f"{model}: expected a model whose only condition is the speaker")
    voices = ReferenceSpeakers(
        {name: (sound(recording) for recording in _of(corpus, name)) for name in corpus.speakers}, corpus.rate
    )
    medians: dict[str, list[float]] = defaultdict(list)
    right = []
    for place, speaker in enumerate(card.speakers):
        for clip in generate_clips(net, place, card):
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


def generate_clips(net: WaveNet, speaker: int, card: Card, seed: int = 0) -> NDArray[np.float32]:
    """Return freely generated clips of one speaker, `(clips, frames)`, at the temperature of the card, or 1."""
    told, _ = net.conditions(torch.zeros(1, 0, 1), None, one_hot_speaker(speaker, net.shape.speakers))
    sampler = Sampler(net, CLIPS, seed=seed + speaker)
    return sampler.generate(round(CLIP_S * card.rate), told.detach().numpy(), float(card.notes.get("temperature", 1.0)))


def sexes_auc(medians: Mapping[str, Sequence[float]]) -> float | None:
    """Return how often a woman's clip is higher than a man's, of all pairs; None if only one of them speaks."""
    by_sex: dict[bool | None, list[float]] = defaultdict(list)
    for speaker, found in medians.items():
        voice = VOICES.get(speaker)
        by_sex[voice.female if voice else None] += found
    women, men = np.array(by_sex[True]), np.array(by_sex[False])
    if not len(women) or not len(men):
        return None
    return float(np.mean((women[:, None] > men) + 0.5 * (women[:, None] == men)))


def opened(model: Path, data: Sequence[str]) -> tuple[WaveNet, Card, WaveNetPlan, Corpus]:
    """Return a model, its card, its plan, and what to judge it on: `data`, else its run's, else its known voices."""
    path = model_path(model)
    loaded, card = load(path, "wavenet")
    net, folder = cast(WaveNet, loaded), RunFolder(path.parent)
    plan = begun_plan(WaveNetPlan, folder) if folder.exists() else _plan_of(net, card)
    return net, card, plan, evaluation_corpus(path, card, plan, data)


def _plan_of(net: WaveNet, card: Card) -> WaveNetPlan:
    """Return as much of a plan as a model's card holds, for a model that is not in its run's folder."""
    local = str(card.notes.get("local", ""))
    return WaveNetPlan(
        data=packaged_voices(card),
        rate=card.rate,
        conditional=bool(card.speakers),
        local=local,
        hop=card.hop if local else WaveNetPlan.hop,
        bands=net.shape.local - (2 if local.endswith("pitch") else 0),
        pauses=bool(card.notes.get("pauses", True)),
    )


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


_COLUMNS = (
    Column("model", "model"),
    Column("condition", "condition"),
    Column("seed", "seed"),
    Column("steps", "steps"),
    Column("right", "bits, right", ".3f"),
    Column("wrong", "bits, wrong", ".3f"),
)


def _show_bits(bits: Sequence[Bits]) -> None:
    print_rows(_COLUMNS, ({**asdict(row), "condition": "speaker" if row.conditional else "none"} for row in bits))
    if found := summary(bits):
        for name in ("conditional", "unconditional"):
            print(f"{name:14} {found[name]['mean']:.3f} ± {found[name]['spread']:.3f} bits over seeds")
        verdict = "beyond the noise of seeds" if found["beyond_noise"] else "WITHIN the noise of seeds"
        print(f"margin         {found['margin']:.3f} bits, {verdict}")


def _show_toggle(name: str, found: ConditionToggle) -> None:
    print(f"{name}: {found.clips} freely generated clips of {CLIP_S:g} s")
    for speaker, recorded_hz in found.pitch_was_hz.items():
        hz = f"{found.pitch_hz[speaker]:.0f}" if speaker in found.pitch_hz else "none"
        print(f"  {speaker}: {hz} Hz (recordings {recorded_hz:.0f})")
