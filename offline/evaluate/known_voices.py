"""The voices that a model knows, as they are played: `python -m gramophone.offline.evaluate.known_voices MODEL...`.

Every person to every other (`--part pairs`), a phrase each, and every person as themselves (`--part oneself`): held-out
phrases, hop by hop through the code that plays, after ten seconds of the source. The words of English phrases count,
and of the pairs those of more phrases, that are converted for their words alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from gramophone.models.checkpoint import kind_of
from gramophone.offline.data.corpora import PEOPLE
from gramophone.offline.data.corpus import gather
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.evaluate.conversion_groups import grouped
from gramophone.offline.evaluate.conversion_judges import ConversionJudges, JudgedPhrase
from gramophone.offline.evaluate.enrolment import clip_of, references_of, training_of
from gramophone.offline.evaluate.live_voice import (
    ENGLISH,
    JUDGED_BY,
    SPOKEN_BEFORE_S,
    HeldOutPhrases,
    LiveConversion,
    median_octaves,
    scores,
    word_scores,
)
from gramophone.offline.judges.moonshine import TEACHES

PARTS = ("pairs", "oneself")
_RECORDINGS, _WORD_PHRASES = 12, 3
"""Phrases of each person at most; English ones to each other person of which the words alone are counted."""


class KnownCases:
    """Phrases of known people and the judges, gathered once for any number of models.

    `phrases` of each as oneself, and so many `pairs` of two at most.
    """

    def __init__(self, people: Sequence[str], phrases: int, pairs: int) -> None:
        corpus = gather([f"voice:{name}" for name in people], RATE)
        self.people, self._count, self._pairs = people, phrases, pairs
        self.clips: dict[str, list[Sound]] = {}
        self.before = {name: clip_of(training_of(corpus, name), SPOKEN_BEFORE_S) for name in people}
        self.octaves = {name: median_octaves(parts) for name, parts in self.before.items()}
        self._phrases = HeldOutPhrases(corpus.held_out, people, _RECORDINGS)
        self._words = HeldOutPhrases(corpus.held_out, (ENGLISH,), _WORD_PHRASES * len(people), besides=self._phrases)
        self.judges = ConversionJudges({name: references_of(corpus, name)[:JUDGED_BY] for name in people})

    def cases(self, part: str) -> Iterator[tuple[JudgedPhrase, str]]:
        """Yield phrases with whom they are converted to; four times as many English ones as oneself.

        Of the pairs, each person is source and target about as often as every other, wherever they end.
        """
        if part == "oneself":
            for source in self.people:
                count, there = self._count * (4 if source == ENGLISH else 1), self._phrases.count(source)
                step = max(there // count, 1)
                for number in range(0, min(there, count * step), step):
                    yield self._phrases.judged(source, number), source
            return
        people = len(self.people)
        for number in range(min(self._pairs, people * (people - 1))):
            turn, place = divmod(number, people)
            yield self._phrases.judged(self.people[place], turn), self.people[(place + turn + 1) % people]

    def word_cases(self, part: str) -> Iterator[tuple[JudgedPhrase, str]]:
        """Yield English phrases with whom they are converted to, of which the words alone are counted."""
        others = [name for name in self.people if name != ENGLISH]
        if part == "pairs" and ENGLISH in self.people:
            yield from (
                (self._words.judged(ENGLISH, i), others[i % len(others)]) for i in range(_WORD_PHRASES * len(others))
            )


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
            rows = scores(known, known.cases(part), convert, moonshine=moonshine)
            figures = grouped(rows + word_scores(known, known.word_cases(part), convert))
            found[f"{model} {part}"] = {name: asdict(one) for name, one in figures.items()}
            print(f"{model}, {part}")
            for name, interval in figures.items():
                print(f"  {name}: {interval}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
