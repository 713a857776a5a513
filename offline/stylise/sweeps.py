"""Coordinate descent over levels: a sweep puts one proposal to every symbol, a colour of them at a time.

Sites of one colour are `R + 1` apart or more, `R` being the receptive field, so that none is within reach of another's
change: the changed activations are computed in parallel, and the changes accepted in turn (`objective_change.py`). The
result does not depend on the number of threads. At temperature 0 the objective never rises; above, by Metropolis' rule,
it may.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from gramophone.models.layers import mulaw
from gramophone.offline.stylise.objective_change import StyleObjective, change, compare, count_grams, decide, tally_of
from gramophone.offline.stylise.receptive_field import Doubles, Known, Levels, buffers_of, know, known_of, own_costs
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.wavenet.engines import WaveNetWeights
from gramophone.realtime.stages.wavenet.kernel import state_of

_BATCH = 64
"""Sites whose changed activations are held at a time."""
_NEAR = np.array([-4, -3, -2, -1, 1, 2, 3, 4])


def colours(length: int, distance: int, chance: np.random.Generator) -> Iterator[Levels]:
    """Yield the sites of each colour, `distance` apart; all sites once, colours in random order."""
    for first in chance.permutation(min(distance, length)):
        yield np.arange(first, length, distance)


def propose(levels: Levels, costs: Doubles, estimates: Doubles, chance: np.random.Generator) -> Levels:
    """Return another level for each of `levels` `(n,)`.

    In equal parts a neighbour, a draw from the model's own conditional (`costs` `(n, 256)`, in nats), and of all within
    a random reach the one with the best of `estimates` `(n, 256)` of the objective.
    """
    near = levels + chance.choice(_NEAR, len(levels))
    drawn = (chance.gumbel(size=costs.shape) - costs).argmax(1)
    away = np.abs(np.arange(mulaw.LEVELS) - levels[:, None])
    within = (away > 0) & (away <= 2 ** chance.integers(0, 8, (len(levels), 1)))
    guided = np.where(within, estimates, np.inf).argmin(1)
    chosen = np.choose(chance.integers(3, size=len(levels)), (near, drawn, guided)).clip(0, mulaw.LEVELS - 1)
    return np.where(chosen == levels, levels + np.where(levels > 0, -1, 1), chosen)


class Sweeper:
    """Sweeps over signals of `length` levels by one network for one pair's objective, on as many `threads`."""

    def __init__(self, weights: WaveNetWeights, objective_terms: StyleObjective, length: int, threads: int = 0) -> None:
        self.distance = int(weights.dilations.sum()) + 2
        self._weights, self._aims, self._length = weights, objective_terms, length
        self._batch = min(_BATCH, -(-length // self.distance))
        self._room, self._tally = buffers_of(weights, self._batch), tally_of(objective_terms, self._batch)
        self._works = [state_of(weights, 1, 0) for _ in range(threads or os.cpu_count() or 1)]

    def known(self, levels: Levels) -> Known:
        """Return all that the network makes of `levels`."""
        known = known_of(self._weights, self._length)
        known.levels[:] = levels
        know(self._weights, known, self._works[0])
        return known

    def sweep(self, levels: Levels, slopes: Floats, temperature: float, seed: tuple[int, ...]) -> tuple[Levels, float]:
        """Return `levels` after a proposal to each, and by how much the objective changed.

        `slopes` `(T, R)` are the objective's by what each symbol is to the first layer, its own cost apart.
        """
        chance = np.random.default_rng(seed)
        known = self.known(levels)
        count_grams(self._aims, known, self._tally)
        changed = 0.0
        with ThreadPoolExecutor(len(self._works)) as pool:
            for colour in colours(self._length, self.distance, chance):
                for first in range(0, len(colour), self._batch):
                    sites = colour[first : first + self._batch]
                    changed += self._visit(pool, known, sites, slopes, temperature, chance)
        return known.levels, changed

    def change_of(self, levels: Levels, site: int, level: int) -> float:
        """Return by how much the objective would change with another level at one site."""
        known = self.known(levels)
        count_grams(self._aims, known, self._tally)
        sites = np.array([site])
        work, wanted, costs = self._works[0], np.array([level]), self._costs(known, sites)
        compare(self._weights, self._aims, known, self._room, self._tally, work, sites, wanted, costs, 0, 1)
        changed: float = decide(self._aims, self._tally, 1, math.inf, np.zeros(1), np.zeros(1, np.bool_))
        return changed

    def _visit(
        self,
        pool: ThreadPoolExecutor,
        known: Known,
        sites: Levels,
        slopes: Floats,
        temperature: float,
        chance: np.random.Generator,
    ) -> float:
        costs = self._costs(known, sites)
        estimates = slopes[sites] @ self._weights.entry.T + self._aims.nats_weight * costs
        levels = propose(known.levels[sites], costs, estimates, chance)
        uniforms, accepted = chance.random(len(sites)), np.zeros(len(sites), np.bool_)
        weights, objective_terms, buffers, tally = self._weights, self._aims, self._room, self._tally

        def compared(thread: int, part: slice) -> None:
            work = self._works[thread]
            compare(weights, objective_terms, known, buffers, tally, work, sites, levels, costs, part.start, part.stop)

        def made(_thread: int, part: slice) -> None:
            change(weights, known, buffers, sites, levels, accepted, part.start, part.stop)

        self._share(pool, compared, len(sites))
        changed: float = decide(objective_terms, tally, len(sites), temperature, uniforms, accepted)
        self._share(pool, made, len(sites))
        return changed

    def _costs(self, known: Known, sites: Levels) -> Doubles:
        """Return what each level would cost at each site, `(n, 256)`."""
        costs = np.zeros((len(sites), mulaw.LEVELS))
        own_costs(self._weights, known, self._works[0], sites, costs)
        return costs

    def _share(self, pool: ThreadPoolExecutor, call: Callable[[int, slice], None], count: int) -> None:
        """Call for equal parts of `count` sites, each on a thread."""
        edges = np.linspace(0, count, len(self._works) + 1).round().astype(int)
        parts = [slice(int(a), int(b)) for a, b in pairwise(edges)]
        list(pool.map(call, range(len(parts)), parts))
