"""The judges of a converted phrase: two unrelated speaker encoders, DNSMOS, and two or three recognisers.

Nothing that is judged has learnt from them, but for Moonshine: the content encoder of `anyone` has, so that only other
methods are judged by it (`judges.moonshine.TEACHES`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.evaluate.conversion_groups import Errors, Likeness, ScoredConversion
from gramophone.offline.extras import need
from gramophone.offline.judges.campplus import campplus_embedding
from gramophone.offline.judges.moonshine import moonshine_words
from gramophone.offline.judges.phonemes import phonemes, phonemes_changed
from gramophone.offline.judges.speaker import EMBEDDING_LIBRARIES, ReferenceSpeakers
from gramophone.offline.judges.speech import recognise, speech_quality, word_errors

RESEMBLYZER, CAMPPLUS = "Resemblyzer", "CAM++"
SPHINX, MOONSHINE, HAMA = "words by PocketSphinx", "words by Moonshine", "phonemes by hama"


@dataclass(frozen=True)
class JudgedPhrase:
    """A recorded phrase and what the judges say of it: its quality, its phonemes, and the words each mishears.

    `text` is empty where no recogniser knows the language, and the misheard words are 0 then.
    """

    speaker: str
    sound: Sound
    text: str
    quality: float
    phonemes: tuple[str, ...]
    sphinx: int
    moonshine: int


def judged_phrase(speaker: str, sound: Sound, rate: int, text: str) -> JudgedPhrase:
    """Return a recorded phrase of a speaker, at `rate` Hz, with its words, if they are English and known."""
    return JudgedPhrase(
        speaker,
        sound,
        text,
        speech_quality(sound, rate),
        tuple(phonemes(sound, rate)),
        word_errors(text, recognise(sound, rate))[0] if text else 0,
        word_errors(text, moonshine_words(sound, rate))[0] if text else 0,
    )


class ConversionJudges:
    """Judges who know speakers by some recordings of each, at `rate` Hz.

    Raises:
        MissingLibraryError: a library of a judge is not installed.
        PackageError: the weights of one are not there and cannot be downloaded.
    """

    def __init__(self, references: Mapping[str, Sequence[Sound]], rate: int = RATE) -> None:
        need("speechmos", "pocketsphinx", "onnxruntime", *EMBEDDING_LIBRARIES)
        self.rate = rate
        self.speakers = {
            RESEMBLYZER: ReferenceSpeakers(references, rate),
            CAMPPLUS: ReferenceSpeakers(references, rate, campplus_embedding),
        }

    def scored(
        self, phrase: JudgedPhrase, target: str, octaves: float, said: Sound, *, moonshine: bool
    ) -> ScoredConversion:
        """Return the scores of a phrase that was converted to a target whose pitch is `octaves` away.

        `moonshine` says whether that recogniser may judge it. The likeness to a speaker whom the judges do not know is
        NaN.
        """
        return ScoredConversion(
            phrase.speaker,
            target,
            octaves,
            {name: _likeness(judge, phrase.speaker, target, said) for name, judge in self.speakers.items()},
            speech_quality(said, self.rate),
            phrase.quality,
            self._errors(phrase, said, moonshine),
        )

    def misheard(self, phrase: JudgedPhrase, target: str, said: Sound) -> ScoredConversion:
        """Return the scores of a phrase, whose text is known, that was converted to a target: PocketSphinx's words."""
        unknown = float("nan")
        return ScoredConversion(
            phrase.speaker, target, unknown, {}, unknown, unknown, {SPHINX: self._words(phrase, said)}
        )

    def _words(self, phrase: JudgedPhrase, said: Sound) -> Errors:
        wrong, words = word_errors(phrase.text, recognise(said, self.rate))
        return Errors(wrong, phrase.sphinx, words)

    def _errors(self, phrase: JudgedPhrase, said: Sound, moonshine: bool) -> dict[str, Errors]:
        changed, count = phonemes_changed(phrase.phonemes, phonemes(said, self.rate))
        found = {HAMA: Errors(changed, 0, count)}
        if phrase.text:
            found[SPHINX] = self._words(phrase, said)
            if moonshine:
                wrong, words = word_errors(phrase.text, moonshine_words(said, self.rate))
                found[MOONSHINE] = Errors(wrong, phrase.moonshine, words)
        return found


def _likeness(judge: ReferenceSpeakers, source: str, target: str, said: Sound) -> Likeness:
    similarity, unknown = judge.similarity(said), float("nan")
    recognised = judge.recognised(target, source) if {source, target} <= set(similarity) else unknown
    return Likeness(
        similarity.get(target, unknown), similarity.get(source, unknown), judge.own.get(target, unknown), recognised
    )
