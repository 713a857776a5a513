"""`gramophone evaluate voice`: how well a voice resynthesises and converts, by models that it was not trained with.

Five questions, all on held-out recordings. Resynthesis: quality, word error rate and speaker similarity. Conversion:
over all pairs of people, whether the result is nearer to the target than to the source, in tune, and intelligible.
Latents: the accuracy of a speaker classifier on them. One-shot: conversion to speakers known by 20 seconds alone. Gate:
what it costs English speech, and how far it lowers noises (part `gate`, only where it is asked for).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gramophone.models.style.gaussian import Gaussian
from gramophone.offline.data.corpora import VOICES
from gramophone.offline.data.corpus import gather
from gramophone.offline.data.phone_transcripts import language_of
from gramophone.offline.evaluate.base import Outcome, Target, outcomes, report
from gramophone.offline.evaluate.conversion_judges import ConversionJudges
from gramophone.offline.evaluate.recordings import model_path
from gramophone.offline.evaluate.speaker_probe import Probed, probed
from gramophone.offline.evaluate.voice_cases import VoiceCases, VoiceScore, references
from gramophone.offline.evaluate.voice_gate import gate_noises, gate_speech, print_gate
from gramophone.offline.train.voice.resynthesis import clip
from gramophone.realtime.stages.latent.target_speaker import enrol

_CLIP_S = 20.0
_LANGUAGES = {name: language_of(name).partition("-")[0] for name in VOICES}
PARTS = ("resynthesis", "conversion", "instruments", "one_shot", "probe", "gate")
USUAL_PARTS = PARTS[:-1]
TARGETS = (
    Target("resynthesis.quality_lost", 0.15, "at most", "MOS"),
    Target("resynthesis.word_errors_added", 0.10, "at most"),
    Target("resynthesis.similarity", 0.90),
    Target("conversion.nearer", 0.95),
    Target("conversion.similarity", 0.75),
    Target("conversion.quality_lost", 0.25, "at most", "MOS"),
    Target("conversion.word_errors_added", 0.15, "at most"),
    Target("conversion.cents", 30.0, "at most", "cents"),
    Target("one_shot.nearer", 0.80),
    Target("instruments.cents", 20.0, "at most", "cents"),
    Target("instruments.family", 0.80),
)


@dataclass(frozen=True)
class VoiceReport:
    """The scores by part; None for parts that were not requested or have no recordings."""

    resynthesis: VoiceScore | None
    conversion: VoiceScore | None
    instruments: VoiceScore | None
    one_shot: VoiceScore | None
    probe: Probed | None

    def outcomes(self) -> list[Outcome]:
        """Return the scores that have a target beside it."""
        found: list[Outcome] = []
        for part in ("resynthesis", "conversion", "instruments", "one_shot"):
            if score := getattr(self, part):
                figures = {f"{part}.{name}": value for name, value in asdict(score).items() if name != "groups"}
                found += outcomes(TARGETS, figures, score.phrases)
        return found


@dataclass(frozen=True)
class VoiceRequest:
    """What to evaluate: `phrases` of each speaker, and which of `PARTS`.

    `unseen` are places with recordings of speakers outside the training data, for the one-shot figures. In conversion,
    `likeness`, 0 to 1, is how far latents are transported to the target's, and `character` the distance of the target
    from the mean speaker, 1 being its own; both are as the parameters of these names.
    """

    phrases: int = 4
    unseen: Sequence[str] = ()
    likeness: float = 0.0
    character: float = 1.0
    parts: Sequence[str] = USUAL_PARTS


def run(model: Path, data: Sequence[str], request: VoiceRequest, *, json: bool) -> None:
    """Evaluate a voice and print.

    Raises:
        EvaluationError: no recordings are given or known, or none are of its speakers.
        MissingLibraryError: a model of the evaluation is not installed.
        CheckpointError: the file is no voice.
        DataError: there are no held-out recordings of its speakers.
    """
    gate = (gate_speech(model_path(model)), gate_noises(model_path(model))) if "gate" in request.parts else None
    others = [part for part in request.parts if part != "gate"]
    found = evaluate(model, data, request) if others else VoiceReport(None, None, None, None, None)

    def show() -> None:
        print_scores(found, ("resynthesis", "conversion", "instruments", "one_shot"))
        if found.probe:
            print("probe: " + "  ".join(f"{key} {value:.1%}" for key, value in asdict(found.probe).items()))
        if gate:
            print_gate(*gate)

    gated = {"gate": {"speech": asdict(gate[0]), "noises": gate[1]}} if gate else {}
    report(asdict(found) | gated, found.outcomes(), json=json, show=show)


def print_scores(found: Any, parts: Sequence[str]) -> None:
    """Print the scores of those parts of a report that there are."""
    for name in parts:
        if part := getattr(found, name):
            groups = getattr(part, "groups", {})
            figures = {key: value for key, value in asdict(part).items() if key != "groups"}
            print(f"{name}: " + "  ".join(f"{key} {value:.3g}" for key, value in figures.items()))
            for group, interval in groups.items():
                print(f"  {group}: {interval}")


def evaluate(model: Path, data: Sequence[str], request: VoiceRequest) -> VoiceReport:
    """Return the scores of a voice; raises as `run`."""
    cases = VoiceCases(model, data, request.phrases, request.likeness, request.character)
    people, parts = cases.people, request.parts
    return VoiceReport(
        cases.score(cases.resyntheses()) if "resynthesis" in parts else None,
        cases.score(cases.conversions(people, people)) if "conversion" in parts else None,
        cases.score(cases.conversions(cases.speakers, cases.instruments)) if "instruments" in parts else None,
        one_shot(cases, request.unseen) if request.unseen and "one_shot" in parts else None,
        probed(cases.voice, cases.corpus, people, _LANGUAGES) if "probe" in parts else None,
    )


def one_shot(cases: VoiceCases, unseen: Sequence[str]) -> VoiceScore | None:
    """Return the scores of conversion from every person to speakers that the voice knows by 20 s of theirs alone."""
    corpus = gather(unseen, cases.corpus.rate)
    targets = {name: enrol(cases.voice, name, clip(corpus, name, _CLIP_S)) for name in corpus.speakers}
    known = {name: references(cases.corpus, name) for name in cases.people}
    judges = ConversionJudges(known | {name: references(corpus, name) for name in corpus.speakers}, corpus.rate)
    return cases.score(
        (
            cases.conversion(
                cases.phrases[source][0],
                name,
                torch.from_numpy(target.vector)[None],
                target.octave,
                Gaussian(target.mean.astype(np.float64), target.covariance.astype(np.float64)),
            )
            for name, target in targets.items()
            for source in cases.people
        ),
        judges,
    )
