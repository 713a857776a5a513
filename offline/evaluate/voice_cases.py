"""The cases of `gramophone evaluate voice`: phrases of held-out recordings, converted by a voice, and their scores.

The scores are by models that the voice was not trained with: DNSMOS, PocketSphinx, a speaker embedding, a music tagger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.checkpoint import Card, load
from gramophone.models.layers.streaming import State
from gramophone.models.nets.voice import Voice
from gramophone.models.style.gaussian import Gaussian
from gramophone.models.style.transport import transport
from gramophone.offline.data.corpus import Corpus, gather, sound
from gramophone.offline.data.mono_audio import Sound, heard
from gramophone.offline.data.recording import Recording, spread_evenly
from gramophone.offline.evaluate.base import EvaluationError
from gramophone.offline.evaluate.conversion_groups import Errors, ScoredConversion, grouped
from gramophone.offline.evaluate.conversion_judges import (
    RESEMBLYZER,
    SPHINX,
    ConversionJudges,
    JudgedPhrase,
    judged_phrase,
)
from gramophone.offline.evaluate.recordings import model_path
from gramophone.offline.evaluate.vlae import styles_of
from gramophone.offline.judges.interval import Interval, bootstrap
from gramophone.offline.judges.taggers import load_tagger, patches
from gramophone.offline.judges.weights import load_tags
from gramophone.offline.train.pitch_cache import prosody
from gramophone.offline.train.run_folder import RunFolder, begun_plan
from gramophone.offline.train.voice.plan import VoicePlan
from gramophone.offline.train.voice.resynthesis import decoded, warmed_up
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.stages.latent.parameters import MOMENTS
from gramophone.realtime.stages.latent.voice_analysis import analyse
from gramophone.realtime.stages.latent.voice_codec import mean_speaker, scale_character

FAMILIES = {"violin": "strings", "cello": "strings", "flute": "flute", "choir": "voices"}
"""The family of each instrument that the tagger has a tag for; it has none for brass, nor for reeds."""
_TAGS = {
    "strings": ("strings", "violin", "cello"),
    "flute": ("flute",),
    "voices": ("choir", "choral", "vocal", "vocals", "voice", "singing", "female voice", "male voice"),
    "guitar": ("guitar",),
    "keys": ("piano", "harpsichord"),
    "plucked": ("sitar", "harp"),
    "drums": ("drums",),
    "synth": ("synth",),
}
"""What a family is called among the tagger's fifty tags."""


@torch.inference_mode()
def family_of(sound: Sound, rate: int) -> str:
    """Return the family whose likeliest tag is the likeliest of all.

    Raises:
        PackageError: the tagger cannot be had.
    """
    tags = load_tags("MTT")
    likely = load_tagger("MTT_musicnn").tags(patches(heard(sound, rate))).mean(0)
    return max(_TAGS, key=lambda family: max(float(likely[tags.index(tag)]) for tag in _TAGS[family]))


REFERENCES = 20
"""Held-out recordings whose mean embedding stands for a speaker."""
_SHORTEST_S, _LONGEST_S = 2.0, 6.0
_ENGLISH, _MORE = "english", 4
"""The speaker whose word error rate is measured, and how many times as many phrases of it are used."""


@dataclass(frozen=True)
class EvaluatedPhrase:
    """A held-out recording, 6 s of it at most, as a voice analyses it.

    `z` `(1, D, n)` are its latents, `prosody` `(1, 3, n)` octaves, voicing and loudness.
    """

    judged: JudgedPhrase
    z: Tensor
    prosody: Tensor


@dataclass(frozen=True)
class VoiceScore:
    """Means over resynthesised or converted phrases.

    `quality` is the overall score of DNSMOS, 1 to 5; `similarity` the cosine of speaker embeddings to the target,
    `share` that over the cosine of the target's own recordings, `source` the cosine to the source, `nearer` the share
    of phrases where the first is larger; `word_errors` the word error rate (NaN without a transcript); `cents` the
    median pitch error; `family` the share of phrases for which a music tagger finds the instrument's family (NaN for
    people, and for instruments that it does not know). What is `lost` or `added` is against the recordings.
    """

    phrases: int
    quality: float
    quality_lost: float
    similarity: float
    share: float
    source: float
    nearer: float
    word_errors: float
    word_errors_added: float
    cents: float
    family: float
    groups: Mapping[str, Interval]
    """Figures of conversions by groups of pairs (`conversion_groups`)."""


@dataclass(frozen=True)
class Conversion:
    """A phrase with the latents `z` `(1, D, n)`, target speaker (name and vector) and octaves to decode it with."""

    phrase: EvaluatedPhrase
    z: Tensor
    target: str
    vector: Tensor
    octaves: float = 0.0

    @property
    def prosody(self) -> Tensor:
        """The prosody of the phrase, transposed."""
        return self.phrase.prosody + torch.tensor([self.octaves, 0.0, 0.0])[:, None]


class VoiceCases:
    """A voice, the phrases to evaluate it on, and the reference embeddings of their speakers.

    `likeness` and `character` are as in `VoiceRequest`.

    Raises:
        EvaluationError: no recordings are given or known, or none are of its speakers.
        MissingLibraryError: a model of the evaluation is not installed.
        CheckpointError: the file is no voice.
    """

    def __init__(
        self,
        model: Path,
        data: Sequence[str],
        phrases: int,
        likeness: float = 0.0,
        character: float = 1.0,
    ) -> None:
        self.voice, self.card, self.corpus = opened(model, data)
        self.speakers = tuple(name for name in self.card.speakers if name in self.corpus.speakers)
        self.instruments = tuple(name for name in self.speakers if name in self.card.notes.get("instruments", ()))
        self.people = tuple(name for name in self.speakers if name not in self.instruments)
        self.phrases = {name: phrases_of(self.voice, self.corpus, name, phrases) for name in self.speakers}
        self.middles = {name: middle_of(own) for name, own in self.phrases.items()}
        self.known = ConversionJudges({name: references(self.corpus, name) for name in self.people}, self.corpus.rate)
        self._likeness, self._character = likeness, character
        self._mean_speaker = mean_speaker(self.voice.table.numpy(), self.card)
        self._usual = styles_of(self.card) if MOMENTS in self.card.notes else {}

    def vector(self, speaker: str) -> Tensor:
        """Return the vector of a speaker, `(1, width)`."""
        return self.voice.table[self.card.speakers.index(speaker)][None].detach()

    def conversion(
        self, phrase: EvaluatedPhrase, target: str, vector: Tensor, middle: float, usual: Gaussian | None
    ) -> Conversion:
        """Return a phrase to be converted: transposed to the target's median octave, latents to its Gaussian."""
        z = phrase.z
        if usual and phrase.judged.speaker in self._usual:
            affine = transport(self._usual[phrase.judged.speaker], usual).partly(self._likeness)
            z = torch.from_numpy(affine(z[0].t().numpy()).T.copy())[None]
        who = torch.from_numpy(scale_character(vector.numpy(), self._mean_speaker, self._character))
        return Conversion(phrase, z, target, who, middle - self.middles[phrase.judged.speaker])

    def conversions(self, sources: Sequence[str], targets: Sequence[str]) -> Iterator[Conversion]:
        """Yield the conversion of one phrase of every source to every other target."""
        for source in sources:
            for number, target in enumerate(name for name in targets if name != source):
                phrase = self.phrases[source][number % len(self.phrases[source])]
                usual = self._usual.get(target)
                yield self.conversion(phrase, target, self.vector(target), self.middles[target], usual)

    def resyntheses(self) -> Iterator[Conversion]:
        """Yield every phrase of people with its own speaker as target."""
        for name in self.people:
            for phrase in self.phrases[name]:
                yield Conversion(phrase, phrase.z, name, self.vector(name))

    def decoded(self, conversion: Conversion) -> Sound:
        """Return the sound of a conversion, `(T,)`."""
        return decoded(self.voice, conversion.z, conversion.vector, conversion.prosody)

    def score(self, conversions: Iterable[Conversion], judges: ConversionJudges | None = None) -> VoiceScore | None:
        """Return the mean scores of conversions; None if there are none."""
        cases, scored, rows = list(conversions), [], []
        for conversion in cases:
            said = self.decoded(conversion)
            case = (judges or self.known).scored(
                conversion.phrase.judged, conversion.target, abs(conversion.octaves), said, moonshine=True
            )
            scored.append(case)
            rows.append(self._figures(conversion, case, said))
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
            _mean(found["similarity"]),
            bootstrap(found["similarity"], found["own"]).mean,
            _mean(found["source"]),
            float(np.mean(found["similarity"] > found["source"])),
            float(wrong),
            float(wrong - wrong_was),
            float(np.nanmedian(found["cents"])),
            _mean(found["family"]),
            grouped([case for one, case in zip(cases, scored, strict=True) if one.target not in FAMILIES]),
        )

    def _figures(self, conversion: Conversion, scored: ScoredConversion, said: Sound) -> Mapping[str, float]:
        likeness, family = scored.likeness[RESEMBLYZER], FAMILIES.get(conversion.target)
        words = scored.errors.get(SPHINX, Errors(0, 0, 0))
        return {
            "quality": scored.quality,
            "quality_was": scored.recorded_quality,
            "similarity": likeness.target,
            "own": likeness.own,
            "source": likeness.source,
            "cents": cents_off(conversion.prosody, pitch_contour(said, self.corpus.rate, self.voice.shape.hop)),
            "wrong": words.wrong,
            "wrong_was": words.recorded,
            "total": words.all,
            "family": float(family_of(said, self.corpus.rate) == family) if family else float("nan"),
        }


def opened(model: Path, data: Sequence[str]) -> tuple[Voice, Card, Corpus]:
    """Return a voice, its card, and the recordings to evaluate it on: `data`, else its run's.

    Raises:
        EvaluationError: no recordings are given or known, or none are of its speakers.
    """
    path = model_path(model)
    loaded, card = load(path, "voice")
    folder = RunFolder(path.parent)
    places = tuple(data) or (begun_plan(VoicePlan, folder).data if folder.exists() else ())
    if not places:
        raise EvaluationError(f"{path}: no recordings to evaluate it on; expected --data")
    corpus = gather(places, card.rate)
    if not set(corpus.speakers) & set(card.speakers):
        there = ", ".join(corpus.speakers)
        raise EvaluationError(f"{path}: has none of the speakers {there}; expected some of {', '.join(card.speakers)}")
    return cast(Voice, loaded.requires_grad_(False)), card, corpus


def phrases_of(voice: Voice, corpus: Corpus, speaker: str, count: int) -> list[EvaluatedPhrase]:
    """Return up to `count` held-out phrases of a speaker; more in English, for the word error rate.

    Raises:
        EvaluationError: there are none.
    """
    own = [r for r in _held_out(corpus, speaker) if r.heard.audible >= _SHORTEST_S * corpus.rate]
    if not own:
        raise EvaluationError(f"{speaker}: no held-out recording of {_SHORTEST_S:g} s or more")
    transcribed = [
        r for r in own if r.found.text and r.heard.frames <= _LONGEST_S * corpus.rate and speaker == _ENGLISH
    ]
    chosen = spread_evenly(transcribed, _MORE * count) if transcribed else spread_evenly(own, count)
    heard = warmed_up(voice, corpus, speaker)
    return [_phrase(voice, recording, recording.found.text if transcribed else "", heard) for recording in chosen]


def _phrase(voice: Voice, recording: Recording, text: str, heard: State) -> EvaluatedPhrase:
    shape = voice.shape
    samples = sound(recording, 0, round(_LONGEST_S * shape.rate))
    frames = -(-len(samples) // shape.hop)
    z, contour = analyse(voice, samples, prosody(recording, shape.rate, shape.hop)[:frames], heard)
    return EvaluatedPhrase(judged_phrase(recording.speaker, samples, shape.rate, text), z, contour)


def references(corpus: Corpus, speaker: str) -> list[Sound]:
    """Return the longest held-out recordings of a speaker."""
    own = sorted(_held_out(corpus, speaker), key=lambda recording: -recording.heard.audible)
    return [sound(recording) for recording in own[:REFERENCES]]


def middle_of(phrases: Sequence[EvaluatedPhrase]) -> float:
    """Return the median octave of the voiced frames of phrases."""
    octaves, voicing, _ = torch.cat([phrase.prosody[0] for phrase in phrases], 1)
    return float(octaves[voicing >= 0.5].median())


def cents_off(prosody: Tensor, found: Sound) -> float:
    """Return the median error in cents of a pitch contour `(n, 2)` against prosody `(1, 3, n)`; NaN if unvoiced."""
    octaves, voicing, _ = prosody[0, :, : len(found)].numpy()
    both = (voicing >= 0.5) & (found[:, 1] >= 0.5)
    return float(np.median(np.abs(found[both, 0] - octaves[both])) * 1200) if both.any() else float("nan")


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean of the values that are numbers; NaN if none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _held_out(corpus: Corpus, speaker: str) -> list[Recording]:
    return [recording for recording in corpus.held_out if recording.speaker == speaker]
