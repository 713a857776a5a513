"""The voices that a model knows, as they are played: `python -m gramophone.offline.evaluate.known_voices MODEL...`.

Every person to every other (`--part pairs`), a phrase each, and every person as themselves (`--part oneself`): held-out
phrases, hop by hop through the code that plays, after ten seconds of the source. The words of English phrases count.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from gramophone.models.checkpoint import kind_of
from gramophone.offline.data.corpora import PEOPLE
from gramophone.offline.data.corpus import gather, sound
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.data.recording import Recording, spread_evenly
from gramophone.offline.evaluate.conversion_groups import grouped
from gramophone.offline.evaluate.conversion_judges import ConversionJudges, JudgedPhrase, judged_phrase
from gramophone.offline.evaluate.enrolment import clip_of, references_of, training_of
from gramophone.offline.evaluate.live_voice import LiveConversion, median_octaves
from gramophone.offline.judges.moonshine import TEACHES

PARTS = ("pairs", "oneself")
_ENGLISH = "english"
_BEFORE_S, _SHORTEST_S, _LONGEST_S = 10.0, 2.0, 6.0
_JUDGED_BY = 12
"""Recordings that a judge knows a speaker by."""


class KnownCases:
    """Phrases of known people and the judges, gathered once for any number of models.

    `phrases` of each as oneself, and so many `pairs` of two at most.
    """

    def __init__(self, people: Sequence[str], phrases: int, pairs: int) -> None:
        corpus = gather([f"voice:{name}" for name in people], RATE)
        self.people, self._phrases, self._pairs = people, phrases, pairs
        self.clips: dict[str, list[Sound]] = {}
        self.before = {name: clip_of(training_of(corpus, name), _BEFORE_S) for name in people}
        self.octaves = {name: median_octaves(parts) for name, parts in self.before.items()}
        self._recordings = {name: _phrases_of(corpus.held_out, name) for name in people}
        self._judged: dict[tuple[str, int], JudgedPhrase] = {}
        self.judges = ConversionJudges({name: references_of(corpus, name)[:_JUDGED_BY] for name in people})

    def cases(self, part: str) -> Iterator[tuple[JudgedPhrase, str]]:
        """Yield phrases with whom they are converted to; four times as many English ones as oneself.

        Of the pairs, each person is source and target about as often as every other, wherever they end.
        """
        if part == "oneself":
            for source in self.people:
                count = self._phrases * (4 if source == _ENGLISH else 1)
                step = max(len(self._recordings[source]) // count, 1)
                for number in range(0, min(len(self._recordings[source]), count * step), step):
                    yield self._phrase(source, number), source
            return
        people = len(self.people)
        for number in range(min(self._pairs, people * (people - 1))):
            turn, place = divmod(number, people)
            yield self._phrase(self.people[place], turn), self.people[(place + turn + 1) % people]

    def _phrase(self, name: str, number: int) -> JudgedPhrase:
        """Return a phrase, measured once."""
        own = self._recordings[name]
        key = name, number % len(own)
        if key not in self._judged:
            recording = own[key[1]]
            text = recording.found.text if name == _ENGLISH else ""
            self._judged[key] = judged_phrase(name, sound(recording), RATE, text)
        return self._judged[key]


def _phrases_of(held_out: Sequence[Recording], name: str) -> list[Recording]:
    own = [
        recording
        for recording in held_out
        if recording.speaker == name
        and recording.heard.audible / RATE >= _SHORTEST_S
        and recording.heard.frames <= _LONGEST_S * RATE
        and (name != _ENGLISH or recording.found.text)
    ]
    return spread_evenly(own, 12)


def main() -> None:
    """Print each model's figures."""
    parser = argparse.ArgumentParser(description="Judge the voices that a model knows, as they are played.")
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--people", nargs="*", default=list(PEOPLE), help="whom; else all that models are trained on")
    parser.add_argument("--phrases", type=int, default=3, help="of each as oneself")
    parser.add_argument("--pairs", type=int, default=len(PEOPLE) * (len(PEOPLE) - 1), help="at most")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    arguments = parser.parse_args()
    known, found = KnownCases(arguments.people, arguments.phrases, arguments.pairs), {}
    for model in arguments.models:
        convert, moonshine = LiveConversion(known, model, False, {}), kind_of(model) not in TEACHES
        for part in arguments.part:
            rows = [
                known.judges.scored(
                    phrase,
                    target,
                    abs(known.octaves[target] - known.octaves[phrase.speaker]),
                    convert(phrase, target),
                    moonshine=moonshine,
                )
                for phrase, target in known.cases(part)
            ]
            found[f"{model} {part}"] = {name: asdict(one) for name, one in grouped(rows).items()}
            print(f"{model}, {part}")
            for name, interval in grouped(rows).items():
                print(f"  {name}: {interval}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
