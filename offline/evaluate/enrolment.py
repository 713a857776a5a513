"""Closed-form conversion to people of whom 20 s are known: `python -m gramophone.offline.evaluate.enrolment`.

Sources are held-out recordings of known people, one of them English, whose words are counted; targets are people that
no model was trained on: two of the recordings', flite's four, and Kokoro's that are there. The universal map is of the
known people. The sources' own envelopes through the same decoder (`--resynthesis`) are the ceiling.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gramophone.models.nets.enrolment import Enrolment, enrolled, speaker_map, universal_map
from gramophone.offline.convert import (
    AROUND,
    CAUSAL,
    ClosedFormConversion,
    ContentFeatures,
    Measured,
    encoder_content,
    joined,
    measured,
    recogniser_content,
    spoken,
)
from gramophone.offline.data import crowd, flite
from gramophone.offline.data.corpora import PEOPLE, UNSEEN
from gramophone.offline.data.corpora import load as load_sound
from gramophone.offline.data.corpus import Corpus, gather, sound
from gramophone.offline.data.mono_audio import RATE, Sound, levelled
from gramophone.offline.data.recording import spread_evenly
from gramophone.offline.evaluate.conversion_groups import ScoredConversion, grouped
from gramophone.offline.evaluate.conversion_judges import ConversionJudges, JudgedPhrase, judged_phrase
from gramophone.offline.judges.interval import Interval
from gramophone.realtime.system.cache_folder import cache_folder

_REFERENCES = 20
_PRIOR_S = 60.0
_SHORTEST_S, _LONGEST_S = 2.0, 6.0
_ENGLISH = "english"
_OTHERS = ("french", "italian", "moscow", "big-fish")
"""Sources whose words are not counted, one phrase a target each."""


@dataclass(frozen=True)
class MeasuredPhrase:
    """A held-out phrase to convert, as the judges know it, and its measurements."""

    judged: JudgedPhrase
    measured: Measured


class ClosedFormStage:
    """Phrases, targets and judges, gathered once for any number of methods with the same content."""

    def __init__(self, content: ContentFeatures, context: Sequence[int], seconds: float, phrases: int) -> None:
        self._content, self._context = content, context
        known, unseen = (gather([f"voice:{name}" for name in names], RATE) for names in (PEOPLE, UNSEEN))
        self.clips = {name: clip_of(training_of(unseen, name), seconds) for name in UNSEEN}
        references = {name: references_of(unseen, name) for name in UNSEEN}
        references |= {name: references_of(known, name) for name in (_ENGLISH, *_OTHERS)}
        for name, said, rest in synthetic_targets():
            references[name], self.clips[name] = said, clip_of(rest, seconds)
        self.judges = ConversionJudges(references)
        self.phrases = {name: list(self._phrases(known, name, phrases)) for name in (_ENGLISH, *_OTHERS)}
        self.targets = {name: self._enrolled(parts) for name, parts in self.clips.items()}
        self.sources = {name: self._enrolled(clip_of(training_of(known, name), seconds)) for name in self.phrases}
        others = [self._enrolled(clip_of(training_of(known, name), _PRIOR_S)) for name in PEOPLE]
        self.universal = universal_map(others)

    def conversions(self, english: int) -> Iterator[tuple[MeasuredPhrase, str]]:
        """Yield phrases with whom they are converted to: so many English ones a target, one of each other source."""
        for number, target in enumerate(self.targets):
            own = self.phrases[_ENGLISH]
            for index in range(english):
                yield own[(number * english + index) % len(own)], target
            for name in _OTHERS:
                yield self.phrases[name][number % len(self.phrases[name])], target

    def judged(self, shrinkage: float, attention: float, english: int) -> Iterator[ScoredConversion]:
        """Yield each conversion's figures."""
        maps = {
            name: speaker_map(one, self.universal, shrinkage) for name, one in (self.targets | self.sources).items()
        }
        for phrase, name in self.conversions(english):
            speaker = phrase.judged.speaker
            source, target = self.sources[speaker], self.targets[name]
            convert = ClosedFormConversion(source, target, maps[speaker], maps[name], self._context, attention)
            yield self._row(phrase, name, convert(phrase.measured))

    def resynthesised(self) -> Iterator[ScoredConversion]:
        """Yield the figures of all phrases by their own envelopes, as their own speakers."""
        for own in self.phrases.values():
            for phrase in own:
                speech = phrase.measured.speech
                yield self._row(
                    phrase, phrase.judged.speaker, spoken(speech.envelopes, speech.octaves, phrase.measured.loudness)
                )

    def _row(self, phrase: MeasuredPhrase, target: str, said: Sound) -> ScoredConversion:
        speaker = phrase.judged.speaker
        both = [*(self.targets | self.sources)[target].octaves[:1], *self.sources[speaker].octaves[:1]]
        return self.judges.scored(phrase.judged, target, abs(float(both[0] - both[1])), said, moonshine=False)

    def _phrases(self, corpus: Corpus, name: str, count: int) -> Iterator[MeasuredPhrase]:
        own = [
            recording
            for recording in corpus.held_out
            if recording.speaker == name
            and recording.heard.audible / RATE >= _SHORTEST_S
            and recording.heard.frames <= _LONGEST_S * RATE
            and (name != _ENGLISH or recording.found.text)
        ]
        for recording in spread_evenly(own, count):
            samples, text = sound(recording), recording.found.text if name == _ENGLISH else ""
            yield MeasuredPhrase(judged_phrase(name, samples, RATE, text), measured(samples, self._content))

    def _enrolled(self, sounds: Sequence[Sound]) -> Enrolment:
        return enrolled(joined([measured(one, self._content) for one in sounds]), self._context)


def training_of(corpus: Corpus, name: str) -> list[Sound]:
    """Return some of a speaker's recordings that are not held out, those of 1 s or more, in an order of their own."""
    own = [r for r in corpus.training if r.speaker == name and r.heard.audible >= RATE]
    return [sound(recording) for recording in spread_evenly(own, 60)]


def references_of(corpus: Corpus, name: str) -> list[Sound]:
    """Return a speaker's longest recordings that are held out, which judges know them by."""
    own = [r for r in corpus.held_out if r.speaker == name]
    return [sound(recording) for recording in sorted(own, key=lambda one: -one.heard.audible)[:_REFERENCES]]


def synthetic_targets() -> Iterator[tuple[str, list[Sound], list[Sound]]]:
    """Yield flite's voices and those of Kokoro's that are left out, with recordings to judge by and others to enrol."""
    for name in flite.VOICES:
        said = [sentence.sound for sentence in flite.sentences(name)]
        yield name, said[:_REFERENCES], said[_REFERENCES:]
    for folder in (cache_folder() / "crowd-unseen" / name for name in crowd.UNSEEN):
        if folder.is_dir():
            said = [levelled(load_sound(path, RATE)) for path in sorted(folder.glob("*.wav"))]
            yield folder.name, said[::2], said[1::2]


def clip_of(sounds: Sequence[Sound], seconds: float) -> list[Sound]:
    """Return the first recordings, the last of them cut, that are so long together."""
    left, found = round(seconds * RATE), []
    for one in sounds:
        if left <= RATE // 2:
            break
        found.append(one[:left])
        left -= len(found[-1])
    return found


def main() -> None:
    """Print each setting's figures."""
    parser = argparse.ArgumentParser(description="Judge closed-form conversion to unseen people.")
    parser.add_argument("--encoder", type=Path, help="a causal content encoder; else the whole recogniser hears")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each target")
    parser.add_argument("--shrinkage", type=float, nargs="+", default=[1000.0])
    parser.add_argument("--attention", type=float, nargs="+", default=[0.0], help="the centroids' share")
    parser.add_argument("--english", type=int, default=2, help="English phrases a target")
    parser.add_argument("--resynthesis", action="store_true", help="the ceiling as well")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    arguments = parser.parse_args()
    content = encoder_content(arguments.encoder) if arguments.encoder else recogniser_content()
    context = CAUSAL if arguments.encoder else AROUND
    stage = ClosedFormStage(content, context, arguments.seconds, 10)
    found: dict[str, dict[str, Interval]] = {}
    if arguments.resynthesis:
        found["resynthesis"] = _shown("resynthesis", grouped(list(stage.resynthesised())))
    for shrinkage in arguments.shrinkage:
        for attention in arguments.attention:
            name = f"shrinkage {shrinkage:g}, attention {attention:g}"
            found[name] = _shown(name, grouped(list(stage.judged(shrinkage, attention, arguments.english))))
    if arguments.json:
        arguments.json.write_text(
            json.dumps({name: {key: asdict(one) for key, one in figures.items()} for name, figures in found.items()})
        )


def _shown(name: str, figures: dict[str, Interval]) -> dict[str, Interval]:
    print(name)
    for key, interval in figures.items():
        print(f"  {key}: {interval}", flush=True)
    return figures


if __name__ == "__main__":
    main()
