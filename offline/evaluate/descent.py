"""`gramophone evaluate descent`: optimisers of a WaveNet's style loss side by side, on the same pairs.

The objective is that of discrete levels, also where an optimiser relaxes them on the way. Distances in dB are those of
`gramophone match`: between Gaussians of log-mel frames, which no optimiser minimises. The arg-max of the marginals and
one gradient per symbol are the methods tried in 2016; the latter has as much time as the sweeps took.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.layers import mulaw
from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import Sound, levelled, resampled
from gramophone.offline.evaluate.base import Column, print_rows, report
from gramophone.offline.evaluate.style_pairs import RATE, load_pairs
from gramophone.offline.match.style_distance import ReferenceStyle
from gramophone.offline.stylise.relaxed import RelaxedWaveNetStyle, levels_of
from gramophone.offline.stylise.wavenet import WaveNetStyle

_CONTENT_S, _STYLE_S = 1.0, 5.0
_HOT = 0.05
_SURE = 6.0
"""Logit of the level that the marginals begin with, the others' being 0."""
_RATE_OF_MARGINALS, _STEPS_OF_MARGINALS = 0.3, 60
_SEED = 2016


@dataclass(frozen=True)
class DescentRow:
    """The figures of one optimiser on one pair."""

    pair: str
    way: str
    objective: float
    before_rounding: float | None
    """The objective of the relaxed levels, where an optimiser has any."""

    seconds: float
    to_style_db: float
    to_content_db: float


@dataclass(frozen=True)
class DescentCase:
    """One pair as the objective of each method, and the number of sweeps."""

    sweeping: WaveNetStyle
    annealed: WaveNetStyle
    relaxed: RelaxedWaveNetStyle
    strength: float
    sweeps: int


Way = Callable[[DescentCase, float], tuple[Tensor, float | None]]
"""An optimiser: a case and the seconds that the sweeps took -> levels, and the objective before rounding."""


def run(model: str, pairs: int, sweeps: int, *, json: bool = False) -> None:
    """Evaluate every optimiser on `pairs` pairs of held-out speech and music, with `sweeps` sweeps.

    Raises:
        CheckpointError, PresetError, StyliseError: there is no such model, or it does not suit.
        CorporaError: the recordings cannot be had.
    """
    corpora.fetch()
    sweeping, relaxed = WaveNetStyle.with_model(model), RelaxedWaveNetStyle.with_model(model)
    annealed: type[WaveNetStyle] = type("Annealed", (sweeping,), {"hot": _HOT, "steps": sweeps})
    rows: list[DescentRow] = []
    for number, pair in enumerate(load_pairs("test")):
        if number == pairs:
            break
        content, style = (
            levelled(resampled(sound[: round(seconds * RATE)], RATE, sweeping.rate))
            for sound, seconds in ((pair.content, _CONTENT_S), (pair.style, _STYLE_S))
        )
        pair_of = torch.from_numpy(content), torch.from_numpy(style)
        case = DescentCase(sweeping(*pair_of), annealed(*pair_of), relaxed(*pair_of), sweeping.balance, sweeps)
        rows += evaluated(case, pair.name, content, style)
    load = os.getloadavg()[0]

    def show() -> None:
        print_rows(_COLUMNS, map(asdict, rows), least_width=130)
        print(f"{os.cpu_count()} cores, load {load:.1f}")

    report({"load": load, "rows": [asdict(row) for row in rows]}, json=json, show=show)


def evaluated(case: DescentCase, name: str, content: Sound, style: Sound) -> list[DescentRow]:
    """Return the figures of every optimiser on a case."""
    to_style, to_content = ReferenceStyle(style, case.sweeping.rate), ReferenceStyle(content, case.sweeping.rate)
    rows: list[DescentRow] = []
    for way, make in WAYS.items():
        begun = time.perf_counter()
        budget = next((row.seconds for row in rows if row.way == _SWEEPS), 0.0)
        levels, before = make(case, budget)
        seconds = time.perf_counter() - begun
        sound = mulaw.decode(levels).numpy()
        objective = case.sweeping.objective(levels, case.strength)
        rows.append(DescentRow(name, way, objective, before, seconds, to_style(sound), to_content(sound)))
    return rows


def _untouched(case: DescentCase, _seconds: float) -> tuple[Tensor, float | None]:
    return case.sweeping.start(), None


def _sweeps(case: DescentCase, _seconds: float) -> tuple[Tensor, float | None]:
    return case.sweeping.advanced(case.sweeping.start(), case.strength, 0, case.sweeps), None


def _annealed(case: DescentCase, _seconds: float) -> tuple[Tensor, float | None]:
    return case.annealed.advanced(case.annealed.start(), case.strength, 0, case.sweeps), None


def _relaxed(case: DescentCase, _seconds: float) -> tuple[Tensor, float | None]:
    x = case.relaxed.start()
    for done in range(0, case.relaxed.steps, case.relaxed.round_steps):
        x = case.relaxed.advanced(x, case.strength, done, case.relaxed.round_steps)
    return levels_of(x), case.relaxed.objective(x, case.strength)


def _relaxed_then_sweeps(case: DescentCase, seconds: float) -> tuple[Tensor, float | None]:
    levels, _ = _relaxed(case, seconds)
    return case.sweeping.advanced(levels, case.strength, 0, case.sweeps // 2), None


def _marginals(case: DescentCase, _seconds: float) -> tuple[Tensor, float | None]:
    """Optimise a distribution for each symbol by gradients, all at once; then take the likeliest level of each."""
    method = case.sweeping
    table = method.hearing.network.get_parameter("entry.weight")
    logits = (_SURE * F.one_hot(method.start(), mulaw.LEVELS).float()).requires_grad_()
    optimiser = torch.optim.Adam([logits], _RATE_OF_MARGINALS)
    for _ in range(_STEPS_OF_MARGINALS):
        optimiser.zero_grad()
        chances = logits.softmax(1)
        activations, costs = method.hearing.entered(chances @ table, method.layers)
        loss = method.loss_of(activations, (costs.t() * chances[1:]).sum(), case.strength)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return logits.argmax(1), float(loss.detach())


def _one_at_a_time(case: DescentCase, seconds: float) -> tuple[Tensor, float | None]:
    """For each symbol compute one full gradient, and take the level that it favours if the objective falls."""
    method, strength = case.sweeping, case.strength
    table = method.hearing.network.get_parameter("entry.weight")
    x, end = method.start(), time.perf_counter() + seconds
    objective = method.objective(x, strength)
    for site in np.random.default_rng(_SEED).permutation(len(x)):
        if time.perf_counter() >= end:
            break
        tried = x.clone()
        tried[site] = int((table @ torch.from_numpy(method.slopes(x.numpy(), strength))[site]).argmin())
        found = method.objective(tried, strength)
        if found < objective:
            x, objective = tried, found
    return x, None


_SWEEPS = "sweeps"
WAYS: dict[str, Way] = {
    "untouched": _untouched,
    _SWEEPS: _sweeps,
    "sweeps, annealed": _annealed,
    "relaxed": _relaxed,
    "relaxed, then half the sweeps": _relaxed_then_sweeps,
    "arg-max of marginals": _marginals,
    "one gradient a symbol": _one_at_a_time,
}


_COLUMNS = (
    Column("pair", "pair"),
    Column("way", "way"),
    Column("objective", "objective", ".3f"),
    Column("before_rounding", "before rounding", ".3f"),
    Column("seconds", "seconds", ".1f"),
    Column("to_style_db", "to style dB", ".2f"),
    Column("to_content_db", "to content dB", ".2f"),
)
