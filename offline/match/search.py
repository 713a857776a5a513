"""CMA-ES with restarts (Hansen 2016, "The CMA evolution strategy: a tutorial"), over positions of 0 to 1.

Each run starts from the best of some random points (the first also from where the knobs are) and ends when it gains
nothing any more; every other run has a double population, to see wider valleys. The best of all runs counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.float64]
Evaluate = Callable[[Sequence[Positions]], Sequence[float]]
"""From places to their objective in dB: the distance, and what a prior adds."""

Watch = Callable[[float, float], None]
"""Called with the share of the budget that is spent and the best distance so far."""

_SCREENED = 10
"""Random points per knob before each run."""

_SPREAD = 0.2
_MARGIN = 0.02
_ENOUGH_DB = 2e-3
"""A run ends when its distances have come to differ by less than this."""

_FINE = 5e-4
"""And when it moves the knobs by less than this share of their range."""


@dataclass(frozen=True)
class Budget:
    """When a search ends: after so many seconds or evaluations, whichever comes first."""

    seconds: float = float("inf")
    evaluations: float = float("inf")

    def share(self, part: float) -> Budget:
        """Return a part, 0 to 1, of this budget, of one evaluation at least."""
        return Budget(self.seconds * part, max(self.evaluations * part, 1.0))


@dataclass
class SearchResult:
    """What a search has found so far. `distance`: the objective, `curve`: it at each improvement, by evaluations."""

    positions: Positions
    distance: float = float("inf")
    evaluations: int = 0
    runs: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)
    stopped: bool = False
    """Whether it was interrupted."""


def search(
    evaluate: Evaluate,
    start: Sequence[float],
    steps: Sequence[int],
    budget: Budget,
    watch: Watch = lambda share, distance: None,
    *,
    seed: int = 0,
    side_by_side: int = 1,
) -> SearchResult:
    """Return the best place found within `budget`; KeyboardInterrupt ends the search and keeps what it has.

    `start` is where the knobs are; `steps` how many values each has, 0 for those that move freely. Populations are
    multiples of `side_by_side`, so that no worker waits for another.
    """
    ledger = _Ledger(evaluate, budget, watch, SearchResult(np.asarray(start, float)))
    random = np.random.default_rng(seed)
    try:
        while not ledger.spent:
            _run(ledger, np.asarray(steps), random, side_by_side)
            ledger.found.runs += 1
    except KeyboardInterrupt:
        ledger.found.stopped = True
    return ledger.found


class _Ledger:
    """Counts what is spent and keeps the best."""

    def __init__(self, evaluate: Evaluate, budget: Budget, watch: Watch, found: SearchResult) -> None:
        self._evaluate, self._budget, self._watch = evaluate, budget, watch
        self._start = time.monotonic()
        self.found = found

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self._share >= 1

    def measure(self, places: Sequence[Positions]) -> list[float]:
        """Return the distances of `places`, and keep the best."""
        found = self.found
        distances = list(self._evaluate(places))
        found.evaluations += len(places)
        best = int(np.argmin(distances))
        if distances[best] < found.distance:
            found.positions, found.distance = np.array(places[best]), distances[best]
            found.curve.append((found.evaluations, found.distance))
        self._watch(min(self._share, 1.0), found.distance)
        return distances

    @property
    def _share(self) -> float:
        seconds = time.monotonic() - self._start
        return max(seconds / self._budget.seconds, self.found.evaluations / self._budget.evaluations)


def _run(ledger: _Ledger, steps: NDArray[np.int_], random: np.random.Generator, side_by_side: int) -> None:
    """Screen random points and descend from the best of them."""
    population = (4 + int(3 * np.log(len(steps)))) * (2 if ledger.found.runs % 2 else 1)
    population = -(-population // side_by_side) * side_by_side
    strategy = _strategy(
        _screen(ledger, steps, random, population), steps, population, int(random.integers(1, 1 << 30))
    )
    while not ledger.spent and not strategy.stop():
        places = strategy.ask()
        strategy.tell(places, ledger.measure([np.clip(place / _scale(steps), 0, 1) for place in places]))


def _screen(ledger: _Ledger, steps: NDArray[np.int_], random: np.random.Generator, batch: int) -> Positions:
    """Return the best of random points, on the first run also of where the knobs are."""
    points = random.uniform(0, 1, (-(-_SCREENED * len(steps) // batch) * batch, len(steps)))
    points = np.where(steps > 0, np.round(points * _scale(steps)) / _scale(steps), points)
    if not ledger.found.evaluations:
        points[0] = ledger.found.positions
    scores: list[float] = []
    while len(scores) < len(points) and not (scores and ledger.spent):
        scores += ledger.measure(list(points[len(scores) :][:batch]))
    return np.asarray(points[int(np.argmin(scores))])


def _strategy(best: Positions, steps: NDArray[np.int_], population: int, seed: int) -> Any:
    """Return a CMA-ES about `best`, in which a knob of n values is an integer from 0 to n - 1."""
    import cma

    scale, whole = _scale(steps), steps > 0
    options = {
        "bounds": [np.where(whole, -0.49, 0.0), np.where(whole, scale + 0.49, 1.0)],
        "integer_variables": np.flatnonzero(whole).tolist(),
        "CMA_stds": np.where(whole, 1 + scale, 1.0),
        "popsize": population,
        "seed": seed,
        "tolfun": _ENOUGH_DB,
        "tolfunhist": _ENOUGH_DB,
        "tolx": _FINE,
        "verbose": -9,
    }
    return cma.CMAEvolutionStrategy(
        np.where(whole, best, np.clip(best, _MARGIN, 1 - _MARGIN)) * scale, _SPREAD, options
    )


def _scale(steps: NDArray[np.int_]) -> NDArray[np.float64]:
    return np.where(steps > 0, steps - 1, 1).astype(float)
