"""`gramophone evaluate match`: whether `match` recovers the settings of hidden chains of effects from the sound alone.

Twenty chains of three to five effects, in random order and with random settings, process held-out voices. `match` gets
the dry voice and the processed one: once of the same seconds, and once of other seconds of the same speaker, where even
the hidden settings themselves leave a distance. The settings depend on the seed alone; nothing was tuned on them.
"""

from __future__ import annotations

import json as json_format
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.cluster.calls import kept
from gramophone.offline.cluster.choice import EngineChoice, caller
from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.evaluate.base import Column, Outcome, Target, outcomes, print_rows, report, write_json
from gramophone.offline.match.knobs import choose
from gramophone.offline.match.matching import match
from gramophone.offline.match.search import Budget
from gramophone.offline.match.style_distance import ReferenceStyle, overall
from gramophone.offline.match.task import make_task
from gramophone.offline.progress import LossProgress
from gramophone.presets import Preset, StageSettings
from gramophone.realtime.engine import Engine
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stages.effects.table import EFFECTS

TARGETS = (Target("reduction", 0.85),)
"""Of the median distance, where `match` gets the same seconds."""

EXCERPT_S = 5.0
"""Of each sound."""

_BETWEEN_S = 3.0
_PAUSE_S = 0.25
_SHORTEST_S = 0.8
_STAGES = (3, 5)
_POSITIONS = (0.15, 0.85)
_AUDIBLE_DB = 0.5
"""Least distance of the processed sound from that without any one of its effects."""

_CLEAR_DB = 2.0
"""Least distance of the processed sound from the dry one."""

_QUIETEST = 1e-3


@dataclass(frozen=True)
class MatchCase:
    """One hidden setting and the result of `match`.

    Distances to the processed sound are in dB: of the `dry` sound, of the chain at the `start`, as `matched`, and of
    the hidden settings themselves (`truth`).
    """

    seed: int
    voice: str
    chain: tuple[str, ...]
    same_seconds: bool
    knobs: int
    dry: float
    start: float
    matched: float
    truth: float
    evaluations: int

    @property
    def reduction(self) -> float:
        """Share, 0 to 1, by which the distance went down."""
        return 1 - self.matched / self.dry

    @property
    def of_possible(self) -> float:
        """The same as a share of the reduction by the hidden settings."""
        return (self.dry - self.matched) / (self.dry - self.truth)


def run(
    out: Path,
    budget: Budget,
    settings: int = 20,
    jobs: int = 0,
    *,
    json: bool = False,
    engine: EngineChoice | None = None,
) -> None:
    """Match `settings` hidden chains in both conditions; print, and write JSON to `out`, where a next call goes on.

    On a cluster, each search has one core, and many run at a time.

    Raises:
        ClusterError: the `engine` is a cluster that cannot be used.
        CorporaError: the recordings cannot be had.
    """
    corpora.fetch(dict.fromkeys(voice.package for voice in corpora.VOICES.values()))
    out.mkdir(parents=True, exist_ok=True)
    file = out / "match.json"
    cases = _kept(file)
    choice = engine or EngineChoice()
    solve = _SearchCall(budget, jobs if choice.name == "local" else 1, json or choice.name != "local")
    done = {(case.same_seconds, case.seed) for case in cases}
    items = [(same, seed) for same in (True, False) for seed in range(settings) if (same, seed) not in done]
    with caller(choice) as calls:
        for item, case in calls.results(solve, items):
            cases.append(kept(item, case))
            write_json(file, _as_dict(cases))
    report(_as_dict(cases), _outcomes(cases), json=json, show=lambda: _show(cases), files=[file])


@dataclass(frozen=True)
class _SearchCall:
    """Searches for the hidden settings of a seed, in one of the two conditions."""

    budget: Budget
    jobs: int
    quiet: bool

    def __call__(self, item: tuple[bool, int]) -> MatchCase:
        same_seconds, seed = item
        return _solve(seed, same_seconds, self.budget, self.jobs, quiet=self.quiet)


def _solve(seed: int, same_seconds: bool, budget: Budget, jobs: int, *, quiet: bool) -> MatchCase:
    random = np.random.default_rng(seed)
    voice = list(corpora.VOICES)[seed % len(corpora.VOICES)]
    dry, other = excerpts(voice)
    hidden = _hidden(random, dry)
    processed = processed_by(hidden, dry if same_seconds else other)
    chain = complete(Preset("chain", tuple(StageSettings(stage.name, stage.kind) for stage in hidden.stages)))
    knobs = choose(chain)
    task = make_task((dry[None], RATE), (processed[None], RATE), knobs, EXCERPT_S, EXCERPT_S)
    with LossProgress(f"{seed} {voice}", "dB", quiet) as progress:
        found = match(task, budget, jobs or os.cpu_count() or 1, progress, seed)
    return MatchCase(
        seed=seed,
        voice=voice,
        chain=tuple(stage.kind for stage in chain.stages),
        same_seconds=same_seconds,
        knobs=len(knobs.turned),
        dry=overall(found.dry),
        start=overall(found.start),
        matched=overall(found.matched),
        truth=style_distance(processed_by(hidden, dry), processed),
        evaluations=found.found.evaluations,
    )


def _hidden(random: np.random.Generator, dry: Sound) -> Preset:
    """Draw chains until every effect of one is audible."""
    kinds = [kind for kind, effect in EFFECTS.items() if any(knob.is_number for knob in effect.parameters)]
    while True:
        drawn = random.choice(kinds, random.integers(*_STAGES, endpoint=True), replace=False)
        knobs = choose(complete(Preset("hidden", tuple(StageSettings(str(kind), str(kind)) for kind in drawn))))
        positions = random.uniform(*_POSITIONS, len(knobs.turned))
        numbers = [
            start if steps else position
            for start, steps, position in zip(knobs.start, knobs.steps, positions, strict=True)
        ]
        hidden = knobs.at(numbers)
        if _is_audible(hidden, dry):
            return hidden


def _is_audible(hidden: Preset, dry: Sound) -> bool:
    processed = processed_by(hidden, dry)
    if not np.isfinite(processed).all() or np.sqrt(np.mean(processed**2)) < _QUIETEST:
        return False
    without = (processed_by(hidden.with_values({(stage.name, "bypass"): True}), dry) for stage in hidden.stages)
    return style_distance(dry, processed) > _CLEAR_DB and all(
        style_distance(x, processed) > _AUDIBLE_DB for x in without
    )


def processed_by(preset: Preset, sound: Sound) -> Sound:
    """Return mono `sound` `(frames,)` at `RATE` through a complete preset."""
    engine = Engine(preset, RATE, 1, "cpu")
    try:
        return np.asarray(engine.render(sound[None])[0])
    finally:
        engine.close()


def style_distance(sound: Sound, reference: Sound) -> float:
    """Return how far the style of mono `sound` is from that of `reference`, both at `RATE`, in dB."""
    return ReferenceStyle(reference, RATE)(sound)


def excerpts(voice: str) -> tuple[Sound, Sound]:
    """Return two excerpts `(frames,)` of `EXCERPT_S` of a voice's held-out recordings, without overlap."""
    needed = round((2 * EXCERPT_S + _BETWEEN_S) * RATE)
    joined = np.concatenate(list(_until(_speech(voice), needed)))
    size = round(EXCERPT_S * RATE)
    return joined[:size], joined[needed - size : needed]


def _speech(voice: str) -> Iterator[Sound]:
    for name, path in corpora.recordings(voice).items():
        if corpora.is_held_out(name):
            sound = corpora.load(path, RATE)
            if len(sound) >= _SHORTEST_S * RATE:
                yield np.pad(sound, (0, round(_PAUSE_S * RATE)))


def _until(sounds: Iterator[Sound], frames: int) -> Iterator[Sound]:
    while frames > 0:
        sound = next(sounds)
        frames -= len(sound)
        yield sound


def _kept(file: Path) -> list[MatchCase]:
    if not file.exists():
        return []
    rows = json_format.loads(file.read_text("utf-8"))["cases"]
    return [MatchCase(**{**row, "chain": tuple(row["chain"])}) for row in rows]


def _as_dict(cases: Sequence[MatchCase]) -> dict[str, Any]:
    return {
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "median_reduction": {name: _median(case.reduction for case in chosen) for name, chosen in _conditions(cases)},
        "median_of_possible": {
            name: _median(case.of_possible for case in chosen) for name, chosen in _conditions(cases)
        },
        "cases": [asdict(case) for case in cases],
    }


def _conditions(cases: Sequence[MatchCase]) -> Iterator[tuple[str, list[MatchCase]]]:
    for name, same_seconds in (("same seconds", True), ("other seconds", False)):
        chosen = [case for case in cases if case.same_seconds == same_seconds]
        if chosen:
            yield name, chosen


def _median(values: Iterator[float]) -> float:
    return float(np.median(list(values)))


def _outcomes(cases: Sequence[MatchCase]) -> list[Outcome]:
    same = [case.reduction for case in cases if case.same_seconds]
    return outcomes(TARGETS, {"reduction": float(np.median(same))} if same else {}, len(same))


_COLUMNS = (
    Column("voice", "voice"),
    Column("chain", "hidden chain"),
    Column("knobs", "knobs"),
    Column("dry", "dry", ".2f"),
    Column("start", "as it was", ".2f"),
    Column("matched", "matched", ".2f"),
    Column("truth", "hidden", ".2f"),
    Column("reduction", "reduction", ".1%"),
    Column("of_possible", "of possible", ".1%"),
    Column("evaluations", "trials"),
)


def _show(cases: Sequence[MatchCase]) -> None:
    for name, chosen in _conditions(cases):
        rows = [
            {
                **asdict(case),
                "chain": " > ".join(case.chain),
                "reduction": case.reduction,
                "of_possible": case.of_possible,
            }
            for case in chosen
        ]
        print_rows(_COLUMNS, rows, name, least_width=140)
        medians = (_median(getattr(case, key) for case in chosen) for key in ("reduction", "of_possible"))
        print("median reduction {:.1%}, of what is possible {:.1%}".format(*medians))
