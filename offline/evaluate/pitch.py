"""`gramophone evaluate pitch`: how well live pitch trackers follow voices and instruments whose pitch is known."""

from __future__ import annotations

import json as json_format
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import RATE
from gramophone.offline.evaluate.base import EvaluationError
from gramophone.offline.evaluate.pitch_cases import INSTRUMENTS, STEP, PitchCase, cases
from gramophone.offline.evaluate.pitch_peers import Track, Tracker, ours, peers
from gramophone.offline.extras import need

Doubles = NDArray[np.float64]

_LIBRARIES = ("av", "pyworld", "torchcrepe")
_GROSS_SHARE, _JUMP_OCTAVES = 0.2, 0.5
_COLUMNS = ("wrong %", "> cents %", "> 20 %", "jumps/min", "misses %", "alarms %", "median cents")
SUMMARIES = {
    "recorded voices": ("speech",),
    "synthetic voices": ("exact", "exact, sung", "exact, gliding", "exact, leaping"),
    "instruments": tuple(INSTRUMENTS),
    "disturbed voices": ("speech, noise 20 dB", "speech, noise 10 dB", "speech, music 10 dB", "speech, 8 kHz"),
    "no pitch": ("no pitch", "whispered"),
}
"""Groups of cases that are counted together."""


@dataclass
class Score:
    """What went wrong on frames whose truth is known.

    `gross` is off by more than 50 cents (instruments: 100) and `far` by more than 20 %, of frames voiced both in truth
    and in the track; `jumps` begin a run of frames off by more than half an octave; `cents` are the errors' sizes.
    """

    voiced: int = 0
    unvoiced: int = 0
    missed: int = 0
    alarms: int = 0
    gross: int = 0
    far: int = 0
    jumps: int = 0
    minutes: float = 0.0
    cents: list[Doubles] = field(default_factory=list)

    def add(self, truth: Doubles, hz: Doubles, heard: NDArray[np.bool_], step_s: float, tolerance: float) -> None:
        """Count frames, `(frames,)` each: the truth, and the track's pitch and whether it is voiced."""
        voiced, both = truth > 0, (truth > 0) & heard
        octaves = np.zeros(len(truth))
        octaves[both] = np.log2(hz[both] / truth[both])
        off = np.abs(octaves) > _JUMP_OCTAVES
        self.voiced += int(voiced.sum())
        self.unvoiced += int((truth == 0).sum())
        self.missed += int((voiced & ~heard).sum())
        self.alarms += int(((truth == 0) & heard).sum())
        self.gross += int((1200 * np.abs(octaves[both]) > tolerance).sum())
        self.far += int((np.abs(2 ** octaves[both] - 1) > _GROSS_SHARE).sum())
        self.jumps += int((off[1:] & ~off[:-1]).sum()) + int(off[:1].sum())
        self.minutes += float(voiced.sum()) * step_s / 60
        self.cents.append(1200 * np.abs(octaves[both]))

    def figures(self) -> dict[str, float]:
        """Return the figures of the table; not a number where there was nothing to count."""
        both = self.voiced - self.missed
        cents = np.concatenate(self.cents) if self.cents else np.zeros(0)
        return {
            "wrong": _share(self.missed + self.alarms + self.gross, self.voiced + self.unvoiced),
            "gross_cents": _share(self.gross, both),
            "gross_20_percent": _share(self.far, both),
            "jumps_per_minute": self.jumps / self.minutes if self.minutes else float("nan"),
            "misses": _share(self.missed, self.voiced),
            "false_alarms": _share(self.alarms, self.unvoiced),
            "median_cents": float(np.median(cents)) if len(cents) else float("nan"),
        }


@dataclass(frozen=True)
class Result:
    """A tracker's figures: delay, share of real time on one core, and scores by group of cases."""

    name: str
    delay_ms: float
    cost: float
    groups: dict[str, Score]

    def score(self, groups: Iterable[str]) -> Score:
        """Return some groups' scores as one."""
        total = Score()
        for group in groups:
            score = self.groups.get(group, Score())
            for name, value in vars(score).items():
                setattr(total, name, getattr(total, name) + value)
        return total


def run(which: str, names: Sequence[str], every: int, *, json: bool) -> None:
    """Judge the live tracker and its peers, or those of these names, on every so many-th case of a group, and print.

    Raises:
        EvaluationError: a library or command is missing, or a tracker of this name.
        CorporaError: the recordings cannot be had.
    """
    need(*_LIBRARIES)
    corpora.fetch()
    found = evaluate(_chosen(names), _sparse(cases(which), every))
    if json:
        print(json_format.dumps(_as_dict(which, found)), flush=True)
    else:
        _show(found)


def evaluate(trackers: Sequence[Tracker], judged: Iterable[PitchCase]) -> list[Result]:
    """Return the results of trackers on cases, which may come one at a time."""
    groups: list[dict[str, Score]] = [{} for _ in trackers]
    spent, seconds = np.zeros(len(trackers)), 0.0
    for case in judged:
        seconds += len(case.sound) / RATE
        for place, tracker in enumerate(trackers):
            began = time.process_time()
            track = tracker.track(case.sound)
            spent[place] += time.process_time() - began
            _count(groups[place].setdefault(case.group, Score()), case, track, tracker.threshold)
    return [
        Result(tracker.name, tracker.delay_ms, float(cost / seconds), scores)
        for tracker, cost, scores in zip(trackers, spent, groups, strict=True)
    ]


def _count(score: Score, case: PitchCase, track: Track, threshold: float) -> None:
    """Hold each frame of a track against the truth nearest to the time that it speaks of."""
    times, hz, voicing = track
    at = np.round(times * RATE / STEP).astype(int)
    known = (at >= 0) & (at < len(case.truth))
    truth = np.append(case.truth, np.nan)[np.where(known, at, len(case.truth))]
    score.add(truth, hz, voicing >= threshold, float(times[1] - times[0]), case.cents)


def _chosen(names: Sequence[str]) -> list[Tracker]:
    trackers = [*ours(), *peers()]
    known = [tracker.name for tracker in trackers]
    for name in names:
        if name not in known:
            raise EvaluationError(f"{name!r}: no such tracker; expected one of {', '.join(map(repr, known))}")
    return [tracker for tracker in trackers if not names or tracker.name in names]


def _sparse(all_cases: Iterable[PitchCase], every: int) -> Iterator[PitchCase]:
    """Yield the first and then every so many-th case of each group."""
    seen: Counter[str] = Counter()
    for case in all_cases:
        if seen[case.group] % every == 0:
            yield case
        seen[case.group] += 1


def _as_dict(which: str, found: Sequence[Result]) -> dict[str, object]:
    return {
        "set": which,
        "machine": platform.platform(),
        "trackers": [
            {
                "name": result.name,
                "delay_ms": result.delay_ms,
                "cost": result.cost,
                "summaries": {name: _numbers(result.score(groups)) for name, groups in SUMMARIES.items()},
                "groups": {name: _numbers(score) for name, score in result.groups.items()},
            }
            for result in found
        ],
    }


def _numbers(score: Score) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in score.figures().items()}


def _show(found: Sequence[Result]) -> None:
    console = Console()
    console.width = max(console.width, 150)
    for title, groups in SUMMARIES.items():
        table = Table("", "delay ms", "cost %", *_COLUMNS, title=title)
        for result in found:
            table.add_row(
                result.name, f"{result.delay_ms:.1f}", f"{100 * result.cost:.2f}", *_cells(result.score(groups))
            )
        console.print(table)
    names = list(found[0].groups)
    table = Table("wrong %", *(result.name for result in found), title="frames with wrong voicing or pitch, by group")
    for name in names:
        table.add_row(name, *(_percent(result.groups[name].figures()["wrong"]) for result in found))
    console.print(table)


def _cells(score: Score) -> Iterator[str]:
    for name, value in score.figures().items():
        yield (f"{value:.1f}" if name in ("jumps_per_minute", "median_cents") else _percent(value)).replace("nan", "")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
