"""One-shot conversion as it is played: `python -m gramophone.offline.evaluate.live_voice MODEL...`.

Phrases go hop by hop through the code that plays, after some seconds of their speaker, as if they had spoken before.
Targets are people that no model was trained on, by `--seconds` of each: four recorded ones, flite's four, and Kokoro's
that are there. Sources are held-out recordings of known people, one of them English, whose words are counted, and more
phrases of whom are converted for their words alone; with `--unseen-sources` they are flite's voices, all of them
English, of which the content encoder knows nothing either.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from gramophone.models.checkpoint import card_of, kind_of, load
from gramophone.models.nets.anyone import Anyone
from gramophone.models.parameters import Parameter, Value
from gramophone.offline.data import flite
from gramophone.offline.data.corpora import JUDGES, UNSEEN
from gramophone.offline.data.corpus import gather, sound
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.data.recording import Recording, spread_evenly
from gramophone.offline.evaluate.conversion_groups import ScoredConversion, grouped
from gramophone.offline.evaluate.conversion_judges import ConversionJudges, JudgedPhrase, judged_phrase
from gramophone.offline.evaluate.enrolment import clip_of, references_of, synthetic_targets, training_of
from gramophone.offline.judges.moonshine import TEACHES
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.codec import LatentModel
from gramophone.realtime.stages.latent.parameters import parameters_of as latent_parameters
from gramophone.realtime.stages.voice.converter import VoiceConverter, converter_parts
from gramophone.realtime.stages.voice.parameters import parameters_of
from gramophone.realtime.stages.voice.target import enrolled_target

_PEOPLE = (*UNSEEN, *JUDGES)
ENGLISH, _OTHERS = "english", ("french", "italian", "moscow", "big-fish")
SPOKEN_BEFORE_S = 10.0
_PHRASES, _WORD_PHRASES = 10, 5
"""Phrases of a source; English ones a target of which the words alone are counted."""
JUDGED_BY = 12
"""Recordings that a judge knows a speaker by."""
_SHORTEST_S, _LONGEST_S = 2.0, 6.0


class HeldOutPhrases:
    """Phrases of some seconds of speakers, so many of each at most; of English ones the words are known.

    None is among those `besides`.
    """

    def __init__(
        self,
        held_out: Iterable[Recording],
        speakers: Iterable[str],
        count: int,
        besides: HeldOutPhrases | None = None,
    ) -> None:
        taken = {one.sound for own in besides._recordings.values() for one in own} if besides else set()
        recordings = [one for one in held_out if _is_phrase(one) and one.sound not in taken]
        self._recordings: dict[str, list[Recording]] = {
            name: spread_evenly([one for one in recordings if one.speaker == name], count) for name in speakers
        }
        self._judged: dict[tuple[str, int], JudgedPhrase] = {}

    def count(self, speaker: str) -> int:
        """Return how many there are of a speaker."""
        return len(self._recordings[speaker])

    def judged(self, speaker: str, number: int) -> JudgedPhrase:
        """Return a speaker's phrase by its number, from the first again after the last; each is judged once."""
        key = speaker, number % self.count(speaker)
        if key not in self._judged:
            recording = self._recordings[speaker][key[1]]
            text = recording.found.text if speaker == ENGLISH else ""
            self._judged[key] = judged_phrase(speaker, sound(recording), RATE, text)
        return self._judged[key]


def _is_phrase(recording: Recording) -> bool:
    return (
        recording.heard.audible / RATE >= _SHORTEST_S
        and recording.heard.frames <= _LONGEST_S * RATE
        and bool(recording.speaker != ENGLISH or recording.found.text)
    )


def _sentences(name: str, said: Iterable[flite.Sentence]) -> list[JudgedPhrase]:
    short = (one for one in said if _SHORTEST_S <= len(one.sound) / RATE <= _LONGEST_S)
    return [judged_phrase(name, one.sound, RATE, one.text) for one in itertools.islice(short, _PHRASES)]


class LiveCases:
    """Phrases, targets and judges, gathered once for any number of models; sources are known people or flite's."""

    def __init__(self, seconds: float, targets: Sequence[str] = (), *, unseen_sources: bool = False) -> None:
        known = gather([f"voice:{name}" for name in (ENGLISH, *_OTHERS)], RATE)
        unseen = gather([f"voice:{name}" for name in _PEOPLE], RATE)
        self.clips = {name: clip_of(training_of(unseen, name), seconds) for name in _PEOPLE}
        references = {name: references_of(unseen, name) for name in _PEOPLE}
        references |= {name: references_of(known, name) for name in (ENGLISH, *_OTHERS)}
        for name, said, rest in synthetic_targets():
            references[name], self.clips[name] = said, clip_of(rest, seconds)
        self.clips = {name: clip for name, clip in self.clips.items() if not targets or name in targets}
        wanted = {*self.clips, *flite.VOICES, ENGLISH, *_OTHERS}
        self.judges = ConversionJudges({name: own[:JUDGED_BY] for name, own in references.items() if name in wanted})
        self.before = {name: clip_of(training_of(known, name), SPOKEN_BEFORE_S) for name in (ENGLISH, *_OTHERS)}
        self._unseen: dict[str, list[JudgedPhrase]] = {}
        if unseen_sources:
            spoken = {name: flite.sentences(name) for name in flite.VOICES}
            self.before = {
                name: clip_of([one.sound for one in own[:JUDGED_BY]], SPOKEN_BEFORE_S) for name, own in spoken.items()
            }
            self._unseen = {name: _sentences(name, own[JUDGED_BY:]) for name, own in spoken.items()}
        self.octaves = {name: median_octaves(parts) for name, parts in (self.clips | self.before).items()}
        self._phrases = HeldOutPhrases(known.held_out, (ENGLISH, *_OTHERS), _PHRASES)
        count = _WORD_PHRASES * len(self.clips)
        self._words = HeldOutPhrases(known.held_out, (ENGLISH,), count, besides=self._phrases)

    def pairs(self, english: int) -> Iterator[tuple[JudgedPhrase, str]]:
        """Yield phrases with whom they are converted to: so many English ones a target, one of each other source.

        Of unseen sources there are so many of each a target.
        """
        for number, target in enumerate(self.clips):
            numbers = range(number * english, (number + 1) * english)
            if self._unseen:
                yield from ((own[index % len(own)], target) for own in self._unseen.values() for index in numbers)
            else:
                yield from ((self._phrases.judged(ENGLISH, index), target) for index in numbers)
                yield from ((self._phrases.judged(name, number), target) for name in _OTHERS)

    def word_pairs(self) -> Iterator[tuple[JudgedPhrase, str]]:
        """Yield more English phrases with whom they are converted to, of which the words alone are counted."""
        if not self._unseen:
            for number, target in enumerate(self.clips):
                for index in range(number * _WORD_PHRASES, (number + 1) * _WORD_PHRASES):
                    yield self._words.judged(ENGLISH, index), target


class PlayedCases(Protocol):
    """Clips of targets and what sources have said before, by name; who judges, and pitches in octaves."""

    clips: dict[str, list[Sound]]
    before: dict[str, list[Sound]]
    octaves: dict[str, float]
    judges: ConversionJudges


Convert = Callable[[JudgedPhrase, str], Sound]


def scores(
    cases: PlayedCases, phrases: Iterable[tuple[JudgedPhrase, str]], convert: Convert, *, moonshine: bool
) -> list[ScoredConversion]:
    """Return the scores of phrases, each with its target; `moonshine` says whether that recogniser may judge them."""
    return [
        cases.judges.scored(
            phrase,
            target,
            abs(cases.octaves[target] - cases.octaves[phrase.speaker]),
            convert(phrase, target),
            moonshine=moonshine,
        )
        for phrase, target in phrases
    ]


def word_scores(
    cases: PlayedCases, phrases: Iterable[tuple[JudgedPhrase, str]], convert: Convert
) -> list[ScoredConversion]:
    """Return the scores of phrases, each with its target, of which the words alone are counted."""
    return [cases.judges.misheard(phrase, target, convert(phrase, target)) for phrase, target in phrases]


class LiveConversion:
    """The code that plays a model, for the targets of some cases and the model's own; each source has spoken before."""

    def __init__(self, cases: PlayedCases, path: Path, quick: bool, values: Mapping[str, Value]) -> None:
        self._clips = {name: np.concatenate(parts) for name, parts in cases.clips.items()}
        self._model = _anyone(path, quick) if kind_of(path) == "anyone" else _voice(path)
        self._values = {knob.name: knob.default for knob in self._model.knobs} | {"range": "free"} | dict(values)
        begun = time.process_time()
        self._targets = {name: self._model.enrol(clip) for name, clip in self._clips.items()}
        self.enrolment_s = (time.process_time() - begun) / max(len(self._targets), 1)
        self._before = cases.before

    @property
    def speakers(self) -> tuple[str, ...]:
        """The known speakers."""
        return self._model.speakers

    def voice_weights(self, target: str) -> Floats:
        """Return the weights of the known voices and, last, of a target by a clip, `(speakers + 1,)`."""
        weights = np.zeros(len(self.speakers) + 1, np.float32)
        weights[self.speakers.index(target) if target in self.speakers else -1] = 1
        return weights

    def __call__(self, phrase: JudgedPhrase, target: str) -> Sound:
        """Return a phrase as a target, of its length."""
        converter = self._model.make()
        self._hops(converter, np.concatenate(self._before[phrase.speaker]), self.voice_weights(""))
        if target in self._targets:
            self._model.set_target(converter, self._targets[target])
        said = self._hops(converter, np.pad(phrase.sound, (0, converter.delay)), self.voice_weights(target))
        return said[converter.delay :][: len(phrase.sound)]

    def with_values(self, values: Mapping[str, Value]) -> LiveConversion:
        """Return the same with other values of parameters."""
        other = copy.copy(self)
        other._values = self._values | dict(values)
        return other

    def _hops(self, converter: Any, samples: Floats, weights: Floats) -> Sound:
        whole = np.pad(samples, (0, -len(samples) % converter.hop)).reshape(-1, converter.hop)
        return np.concatenate([self._model.play(converter, hop, weights, self._values) for hop in whole])


@dataclass(frozen=True)
class _PlayedModel:
    """How a model is played: `make` a converter, give it a target that `enrol` makes of a clip, `play` hop by hop."""

    make: Callable[[], Any]
    set_target: Callable[[Any, Any], None]
    play: Callable[[Any, Floats, Floats, Mapping[str, Value]], Floats]
    enrol: Callable[[Sound], Any]
    knobs: Sequence[Parameter]
    speakers: tuple[str, ...]


def _anyone(path: Path, quick: bool) -> _PlayedModel:
    loaded, card = load(path, "anyone")
    model = cast(Anyone, loaded)

    def set_target(converter: VoiceConverter, target: Any) -> None:
        converter.voices.set_target(target.voice)
        converter.refresh()

    return _PlayedModel(
        lambda: VoiceConverter(converter_parts(model, quick)),
        set_target,
        lambda converter, hop, weights, values: converter.convert(converter.measure(hop), weights, values),
        lambda clip: enrolled_target(model, card, "clip", clip),
        parameters_of(card),
        card.speakers,
    )


def _voice(path: Path) -> _PlayedModel:
    """Return the same of a voice model of before, whose speaker vector is fitted to a clip."""
    header = LatentModel.of(path)
    codec: Any = header.codec("cpu")
    return _PlayedModel(
        lambda: header.codec("cpu"),
        lambda converter, target: converter.add_target(target),
        lambda converter, hop, weights, values: converter.synthesise(converter.analyse(hop), weights, values),
        lambda clip: codec.enrol("clip", clip),
        latent_parameters(header.kind, header.card, header.latents),
        card_of(path).speakers,
    )


def median_octaves(parts: Sequence[Sound]) -> float:
    """Return the median pitch of recordings in octaves."""
    octaves, voicing = pitch_contour(np.concatenate(parts), RATE, 128).T
    return float(np.median(octaves[voicing >= 0.5])) if (voicing >= 0.5).any() else float("nan")


def main() -> None:
    """Print each model's and setting's figures."""
    parser = argparse.ArgumentParser(description="Judge one-shot conversion as it is played.")
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each target")
    parser.add_argument("--targets", nargs="*", default=[], help="whom to convert to; else all")
    parser.add_argument("--quick", action="store_true", help="with the short look-ahead")
    parser.add_argument("--english", type=int, default=2, help="English phrases a target")
    parser.add_argument("--set", dest="settings", nargs="*", default=[""], help="settings such as likeness=1,detail=.5")
    parser.add_argument("--unseen-sources", action="store_true", help="flite's voices speak, to targets that are not")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    arguments = parser.parse_args()
    cases = LiveCases(arguments.seconds, arguments.targets, unseen_sources=arguments.unseen_sources)
    found = {}
    for model in arguments.models:
        convert, kind = LiveConversion(cases, model, arguments.quick, {}), kind_of(model)
        print(f"{model}: enrolment of {arguments.seconds:g} s takes {convert.enrolment_s:.2f} s of a core")
        for setting in arguments.settings:
            values = {key: float(text) for key, text in (pair.split("=") for pair in setting.split(",") if pair)}
            played = convert.with_values(values)
            rows = scores(cases, cases.pairs(arguments.english), played, moonshine=kind not in TEACHES)
            figures = grouped(rows + word_scores(cases, cases.word_pairs(), played))
            found[f"{model} {setting}".strip()] = {name: asdict(one) for name, one in figures.items()}
            print(f"{model} {setting}")
            for name, interval in figures.items():
                print(f"  {name}: {interval}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
