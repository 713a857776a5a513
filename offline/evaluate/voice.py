"""`gramophone evaluate voice`: how well a voice resynthesises and converts, by models that it was not trained with.

Four questions, all on held-out recordings. Resynthesis: quality, word error rate and speaker similarity. Conversion:
over all pairs of people, whether the result is nearer to the target than to the source, in tune, and intelligible.
Latents: the accuracy of a speaker classifier on them. One-shot: conversion to speakers known by 20 seconds alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gramophone.models.style.gaussian import Gaussian
from gramophone.offline.data.corpora import VOICES
from gramophone.offline.data.corpus import gather
from gramophone.offline.data.phone_transcripts import language_of
from gramophone.offline.evaluate.base import Outcome, Target, outcomes, report
from gramophone.offline.evaluate.speaker_probe import Probed, probed
<<<<<<< HEAD
from gramophone.offline.evaluate.voice_cases import VoiceCases, VoiceScore, references
from gramophone.offline.judges.speaker import ReferenceSpeakers
from gramophone.offline.train.voice.resynthesis import clip
from gramophone.realtime.stages.latent.target_speaker import meet
=======
from gramophone.offline.evaluate.vlae import styles_of
from gramophone.offline.extras import need
from gramophone.offline.judges.base import EvaluationError
from gramophone.offline.judges.family import FAMILIES, family_of
from gramophone.offline.judges.interval import Interval, bootstrap
from gramophone.offline.judges.speaker import EMBEDDING_LIBRARIES, KnownVoices
from gramophone.offline.judges.speech import recognise, speech_quality, word_errors
from gramophone.offline.train.pitch_cache import prosody
from gramophone.offline.train.run_folder import RunFolder, begun_plan
from gramophone.offline.train.voice.plan import VoicePlan
from gramophone.offline.train.voice.resynthesis import clip, decoded, warmed_up
from gramophone.realtime.dsp.pitch.contour import pitch_contour
from gramophone.realtime.stages.latent.parameters import MOMENTS
from gramophone.realtime.stages.latent.target_speaker import enrol
from gramophone.realtime.stages.latent.voice_codec import mean_speaker, scale_character
from gramophone.realtime.stages.latent.voice_offline import analyse
>>>>>>> db33522 (realtime/stages: speak the field's English; derivations, shapes and units; a numba cache that notices a changed callee, in the cache folder)

_CLIP_S = 20.0
_LANGUAGES = {name: language_of(name).partition("-")[0] for name in VOICES}
PARTS = ("resynthesis", "conversion", "instruments", "one_shot", "probe")
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
    parts: Sequence[str] = PARTS


<<<<<<< HEAD
=======
@dataclass(frozen=True)
class Conversion:
    """A phrase, to be sung with latents `z` as somebody, by name and vector, moved by so many octaves."""

    phrase: EvaluatedPhrase
    z: Tensor
    target: str
    vector: Tensor
    octaves: float = 0.0

    @property
    def prosody(self) -> Tensor:
        """How it is to be intoned."""
        return self.phrase.prosody + torch.tensor([self.octaves, 0.0, 0.0])[:, None]


class ConversionStage:
    """A voice, the recordings to judge it on, and judges who know those of its speakers who are heard in them.

    Who sings as somebody else has latents moved so far to where the other's lie, as by the knob `likeness`, and the
    other is so far from nobody, as by the knob `character`.
    """

    def __init__(
        self,
        model: Path,
        data: Sequence[str],
        phrases: int,
        likeness: float = VoiceRequest.likeness,
        character: float = VoiceRequest.character,
    ) -> None:
        need("speechmos", "pocketsphinx", *EMBEDDING_LIBRARIES)
        self.voice, self.card, self.corpus = opened(model, data)
        self.speakers = tuple(name for name in self.card.speakers if name in self.corpus.speakers)
        self.instruments = tuple(name for name in self.speakers if name in self.card.notes.get("instruments", ()))
        self.people = tuple(name for name in self.speakers if name not in self.instruments)
        self.phrases = {name: phrases_of(self.voice, self.corpus, name, phrases) for name in self.speakers}
        self.middles = {name: middle_of(own) for name, own in self.phrases.items()}
        self.known = KnownVoices({name: references(self.corpus, name) for name in self.people}, self.corpus.rate)
        self._likeness, self._character = likeness, character
        self._nobody = mean_speaker(self.voice.table.numpy(), self.card)
        self._usual = styles_of(self.card) if MOMENTS in self.card.notes else {}

    def vector(self, speaker: str) -> Tensor:
        """Return who a speaker is to the voice."""
        return self.voice.table[self.card.speakers.index(speaker)][None].detach()

    def as_another(
        self, phrase: EvaluatedPhrase, target: str, vector: Tensor, middle: float, usual: Gaussian | None
    ) -> Conversion:
        """Return a phrase as sung by another, in the other's range, latents moved to where the other's usually lie."""
        z = phrase.z
        if usual and phrase.speaker in self._usual:
            affine = transport(self._usual[phrase.speaker], usual).partly(self._likeness)
            z = affine(z.transpose(1, 2)).transpose(1, 2)
        who = torch.from_numpy(scale_character(vector.numpy(), self._nobody, self._character))
        return Conversion(phrase, z, target, who, middle - self.middles[phrase.speaker])

    def crossed(self, sources: Sequence[str], targets: Sequence[str]) -> Iterator[Conversion]:
        """Yield one phrase of every source for every other target."""
        for source in sources:
            for number, target in enumerate(name for name in targets if name != source):
                phrase = self.phrases[source][number % len(self.phrases[source])]
                usual = self._usual.get(target)
                yield self.as_another(phrase, target, self.vector(target), self.middles[target], usual)

    def as_themselves(self) -> Iterator[Conversion]:
        """Yield every phrase of people as they sing it."""
        for name in self.people:
            for phrase in self.phrases[name]:
                yield Conversion(phrase, phrase.z, name, self.vector(name))

    def sung(self, performance: Conversion) -> Sound:
        """Return what is heard of a performance."""
        return decoded(self.voice, performance.z, performance.vector, performance.prosody)

    def judge(self, performances: Iterable[Conversion], known: KnownVoices | None = None) -> VoiceScore | None:
        """Judge what is sung; None if there is nothing."""
        performed = list(performances)
        rows = [self._heard(performance, known or self.known) for performance in performed]
        if not rows:
            return None
        found = {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}
        total = found["total"].sum()
        quality, was = found["quality"].mean(), found["quality_was"].mean()
        wrong, wrong_was = (found[name].sum() / total if total else float("nan") for name in ("wrong", "wrong_was"))
        return VoiceScore(
            len(rows),
            float(quality),
            float(was - quality),
            _mean(found["likeness"]),
            bootstrap(found["likeness"], found["own"]).mean,
            _mean(found["source"]),
            float(np.mean(found["likeness"] > found["source"])),
            float(wrong),
            float(wrong - wrong_was),
            float(np.nanmedian(found["cents"])),
            _mean(found["family"]),
            grouped([_judged(one, row) for one, row in zip(performed, rows, strict=True) if _is_conversion(one)]),
        )

    def _heard(self, performance: Conversion, known: KnownVoices) -> Mapping[str, float]:
        phrase, target = performance.phrase, performance.target
        told = performance.prosody
        said, rate = self.sung(performance), self.corpus.rate
        likeness = known.likeness(said)
        family = FAMILIES.get(target)
        wrong, total = word_errors(phrase.text, recognise(said, rate)) if phrase.text else (0, 0)
        wrong_was, _ = word_errors(phrase.text, recognise(phrase.sound, rate)) if phrase.text else (0, 0)
        return {
            "quality": speech_quality(said, rate),
            "quality_was": phrase.quality,
            "likeness": likeness.get(target, float("nan")),
            "own": known.own.get(target, float("nan")),
            "source": likeness.get(phrase.speaker, float("nan")),
            "cents": cents_off(told, pitch_contour(said, rate, self.voice.shape.hop)),
            "wrong": wrong,
            "wrong_was": wrong_was,
            "total": total,
            "family": float(family_of(said, rate) == family) if family else float("nan"),
        }


>>>>>>> db33522 (realtime/stages: speak the field's English; derivations, shapes and units; a numba cache that notices a changed callee, in the cache folder)
def run(model: Path, data: Sequence[str], request: VoiceRequest, *, json: bool) -> None:
    """Evaluate a voice and print.

    Raises:
        EvaluationError: no recordings are given or known, or none are of its speakers.
        MissingLibraryError: a model of the evaluation is not installed.
        CheckpointError: the file is no voice.
        DataError: there are no held-out recordings of its speakers.
    """
    found = evaluate(model, data, request)

    def show() -> None:
        print_scores(found, ("resynthesis", "conversion", "instruments", "one_shot"))
        if found.probe:
            print("probe: " + "  ".join(f"{key} {value:.1%}" for key, value in asdict(found.probe).items()))

    report(asdict(found), found.outcomes(), json=json, show=show)


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


<<<<<<< HEAD
def one_shot(cases: VoiceCases, unseen: Sequence[str]) -> VoiceScore | None:
    """Return the scores of conversion from every person to speakers that the voice knows by 20 s of theirs alone."""
    corpus = gather(unseen, cases.corpus.rate)
    targets = {name: meet(cases.voice, name, clip(corpus, name, _CLIP_S)) for name in corpus.speakers}
    known = {name: references(cases.corpus, name) for name in cases.people}
    speakers = ReferenceSpeakers(known | {name: references(corpus, name) for name in corpus.speakers}, corpus.rate)
    return cases.score(
=======
def one_shot(stage: ConversionStage, unseen: Sequence[str], phrases: int) -> VoiceScore | None:
    """Judge what everybody known sings as people whom the voice knows by 20 s of theirs only."""
    corpus = gather(unseen, stage.corpus.rate)
    guests = {name: enrol(stage.voice, name, clip(corpus, name, _CLIP_S)) for name in corpus.speakers}
    everybody = {name: references(stage.corpus, name) for name in stage.people}
    known = KnownVoices(everybody | {name: references(corpus, name) for name in corpus.speakers}, corpus.rate)
    return stage.judge(
>>>>>>> db33522 (realtime/stages: speak the field's English; derivations, shapes and units; a numba cache that notices a changed callee, in the cache folder)
        (
            cases.conversion(
                cases.phrases[source][0],
                name,
                torch.from_numpy(target.vector)[None],
                target.octave,
                Gaussian(torch.from_numpy(target.mean).double(), torch.from_numpy(target.covariance).double()),
            )
            for name, target in targets.items()
            for source in cases.people
        ),
        speakers,
    )
<<<<<<< HEAD
=======


def opened(model: Path, data: Sequence[str]) -> tuple[Voice, Card, Corpus]:
    """Return a voice, its card, and what to judge it on: `data`, else its run's.

    Raises:
        EvaluationError: nobody says what to judge on, or the voice knows nobody there.
    """
    path = model / _MODEL if model.is_dir() else model
    loaded, card = load(path, "voice")
    folder = RunFolder(path.parent)
    places = tuple(data) or (begun_plan(VoicePlan, folder).data if folder.begun() else ())
    if not places:
        raise EvaluationError(f"{path}: no recordings to judge it on; expected --data")
    corpus = gather(places, card.rate)
    if not set(corpus.speakers) & set(card.speakers):
        there = ", ".join(corpus.speakers)
        raise EvaluationError(f"{path}: knows nobody of {there}; expected some of {', '.join(card.speakers)}")
    return cast(Voice, loaded.requires_grad_(False)), card, corpus


def phrases_of(voice: Voice, corpus: Corpus, speaker: str, count: int) -> list[EvaluatedPhrase]:
    """Return up to `count` held-out phrases of a speaker; more in English, whose words can be judged.

    Raises:
        EvaluationError: there are none.
    """
    own = [r for r in _held_out(corpus, speaker) if r.heard.audible >= _SHORTEST_S * corpus.rate]
    if not own:
        raise EvaluationError(f"{speaker}: no held-out recording of {_SHORTEST_S:g} s or more")
    told = [r for r in own if r.found.text and r.heard.frames <= _LONGEST_S * corpus.rate and speaker == _ENGLISH]
    chosen = spread_evenly(told, _MORE * count) if told else spread_evenly(own, count)
    heard = warmed_up(voice, corpus, speaker)
    return [_phrase(voice, recording, recording.found.text if told else "", heard) for recording in chosen]


def _phrase(voice: Voice, recording: Recording, text: str, heard: State) -> EvaluatedPhrase:
    shape = voice.shape
    samples = sound(recording, 0, round(_LONGEST_S * shape.rate))
    frames = -(-len(samples) // shape.hop)
    z, told = analyse(voice, samples, prosody(recording, shape.rate, shape.hop)[:frames], heard)
    return EvaluatedPhrase(recording.speaker, samples, z, told, speech_quality(samples, shape.rate), text)


def references(corpus: Corpus, speaker: str) -> list[Sound]:
    """Return the longest held-out recordings of a speaker."""
    own = sorted(_held_out(corpus, speaker), key=lambda recording: -recording.heard.audible)
    return [sound(recording) for recording in own[:REFERENCES]]


def middle_of(phrases: Sequence[EvaluatedPhrase]) -> float:
    """Return the median octave of what is voiced in phrases."""
    octaves, voicing, _ = torch.cat([phrase.prosody[0] for phrase in phrases], 1)
    return float(octaves[voicing >= 0.5].median())


def cents_off(told: Tensor, found: Sound) -> float:
    """Return the median error in cents of pitch found, `(n, 2)`, against what was told, `(1, PROSODY, n)`."""
    octaves, voicing, _ = told[0, :, : len(found)].numpy()
    both = (voicing >= 0.5) & (found[:, 1] >= 0.5)
    return float(np.median(np.abs(found[both, 0] - octaves[both])) * 1200) if both.any() else float("nan")


def _is_conversion(performance: Conversion) -> bool:
    """Return whether somebody is to be heard as another person."""
    return performance.phrase.speaker != performance.target and performance.target not in FAMILIES


def _judged(performance: Conversion, row: Mapping[str, float]) -> JudgedConversion:
    return JudgedConversion(
        performance.phrase.speaker,
        performance.target,
        abs(performance.octaves),
        row["likeness"],
        row["own"],
        row["source"],
        row["quality_was"] - row["quality"],
        row["wrong"] - row["wrong_was"],
        row["total"],
    )


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean of what is known; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _held_out(corpus: Corpus, speaker: str) -> list[Recording]:
    return [recording for recording in corpus.held_out if recording.speaker == speaker]
>>>>>>> db33522 (realtime/stages: speak the field's English; derivations, shapes and units; a numba cache that notices a changed callee, in the cache folder)
