"""The exact change of the objective when a symbol changes: of likelihood, content and style.

Likelihood and content are sums over samples, of which sites of one colour share none. The style couples them: it is
the squared distance of two Gram matrices. But a Gram matrix is such a sum itself, so each site's change of it is
computed apart, in parallel, and then the sites are accepted one after the other, each by the exact change from the Gram
matrix as the ones before have left it. That equals changing one site at a time, so nothing need be undone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.stylise.receptive_field import (
    Doubles,
    Known,
    Levels,
    ReceptiveFieldBuffers,
    jit,
    put,
    settle,
    spread,
)
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.wavenet.engines import WaveNetWeights
from gramophone.realtime.stages.wavenet.kernel import KernelState

Flags = NDArray[np.bool_]


class StyleObjective(NamedTuple):
    """The terms of the objective, in `K` of the layers' activations `(T, R)`, and their weights.

    `content` `(K * T, R)` are the content's; features are `(activations - centre) * scale` and a one, so that their
    Gram matrix holds their mean as well; `wanted` `(K, R + 1, R + 1)` is the style's, times `T`.
    """

    layers: Levels
    content: Floats
    content_weights: Doubles
    centre: Floats
    scale: Floats
    wanted: Doubles
    style_weights: Doubles
    nats_weight: float


class Tally(NamedTuple):
    """The Gram matrices at present, and the effect of `B` changes.

    `grams` `(K, R + 1, R + 1)` are sums over samples, `moved` `(B * K, R + 1, R + 1)` their changes; `plain` `(B,)` are
    the changes of likelihood and content.
    """

    grams: Doubles
    moved: Doubles
    plain: Doubles


def tally_of(objective_terms: StyleObjective, sites: int) -> Tally:
    """Return room for the changes of `sites` sites."""
    count, width, _ = objective_terms.wanted.shape
    return Tally(np.zeros(objective_terms.wanted.shape), np.zeros((sites * count, width, width)), np.zeros(sites))


@jit
def count_grams(objective_terms: StyleObjective, known: Known, tally: Tally) -> None:
    """Make `tally.grams` of what is known."""
    residual = known.paths.shape[1]
    length = len(known.levels)
    rows = len(objective_terms.content) // len(objective_terms.layers)
    stride = len(known.paths) // (len(known.skips) // length + 1)
    features = np.ones(residual + 1)
    for k in range(len(objective_terms.layers)):
        tally.grams[k] = 0.0
        first = (objective_terms.layers[k] + 1) * stride + stride - length
        for t in range(rows):
            for i in range(residual):
                features[i] = (known.paths[first + t, i] - objective_terms.centre[k, i]) * objective_terms.scale[k, i]
            for i in range(residual + 1):
                for o in range(residual + 1):
                    tally.grams[k, i, o] += features[i] * features[o]


@jit
def _compare_layer(
    weights: WaveNetWeights,
    objective_terms: StyleObjective,
    known: Known,
    buffers: ReceptiveFieldBuffers,
    tally: Tally,
    b: int,
    site: int,
    k: int,
) -> None:
    """Add the content's change to `tally.plain` and put the Gram's into `tally.moved`.

    With d and s the difference and the sum of new and old features, it is the symmetric part of the sum of d s'.
    """
    residual = known.paths.shape[1]
    length = len(known.levels)
    layer = objective_terms.layers[k] + 1
    stride = len(known.paths) // (len(weights.exits) + 1)
    old = layer * stride + stride - length + site
    here = b * buffers.rows[0] + buffers.starts[0, layer]
    if layer < len(weights.exits):
        here += weights.dilations[layer]
    m = b * len(objective_terms.layers) + k
    tally.moved[m] = 0.0
    difference, total = np.zeros(residual + 1), np.full(residual + 1, 2.0)
    lost = 0.0
    for j in range(min(buffers.reach[layer], length - site)):
        for i in range(residual):
            now, then = float(buffers.paths[here + j, i]), float(known.paths[old + j, i])
            lost += (now - then) * (now + then - 2.0 * float(objective_terms.content[k * length + site + j, i]))
            difference[i] = (now - then) * objective_terms.scale[k, i]
            total[i] = (now + then - 2.0 * objective_terms.centre[k, i]) * objective_terms.scale[k, i]
        for i in range(residual):
            for o in range(residual + 1):
                tally.moved[m, i, o] += difference[i] * total[o]
    tally.plain[b] += objective_terms.content_weights[k] * lost
    for i in range(residual + 1):
        for o in range(i):
            half = 0.5 * (tally.moved[m, i, o] + tally.moved[m, o, i])
            tally.moved[m, i, o] = tally.moved[m, o, i] = half


@jit
def compare(
    weights: WaveNetWeights,
    objective_terms: StyleObjective,
    known: Known,
    buffers: ReceptiveFieldBuffers,
    tally: Tally,
    work: KernelState,
    sites: Levels,
    levels: Levels,
    costs: Doubles,
    first: int,
    last: int,
) -> None:
    """Tell what it would change to put `levels[b]` at `sites[b]`, for `b` from `first` to `last`; nothing is changed.

    `costs` `(B, 256)` is the cost of each level there, in nats.
    """
    for b in range(first, last):
        site = sites[b]
        put(weights, buffers, b, levels[b])
        spread(weights, known, buffers, work, b, site)
        buffers.nats[b, 0] = costs[b, levels[b]]
        nats = 0.0
        for j in range(min(buffers.nats.shape[1], len(known.levels) - site)):
            nats += buffers.nats[b, j] - known.nats[site + j]
        tally.plain[b] = objective_terms.nats_weight * nats
        for k in range(len(objective_terms.layers)):
            _compare_layer(weights, objective_terms, known, buffers, tally, b, site, k)


@jit
def decide(
    objective_terms: StyleObjective, tally: Tally, count: int, temperature: float, uniforms: Doubles, accepted: Flags
) -> float:
    """Accept changes in turn by Metropolis' rule, at temperature 0 what lowers the objective; return its change."""
    whole = 0.0
    width = objective_terms.wanted.shape[1]
    for b in range(count):
        change = tally.plain[b]
        for k in range(len(objective_terms.layers)):
            m = b * len(objective_terms.layers) + k
            far = 0.0
            for i in range(width):
                for o in range(width):
                    moved = tally.moved[m, i, o]
                    far += moved * (moved + 2.0 * (tally.grams[k, i, o] - objective_terms.wanted[k, i, o]))
            change += objective_terms.style_weights[k] * far
        accepted[b] = change < 0.0 or (temperature > 0.0 and uniforms[b] < math.exp(-change / temperature))
        if accepted[b]:
            whole += change
            for k in range(len(objective_terms.layers)):
                for i in range(width):
                    for o in range(width):
                        tally.grams[k, i, o] += tally.moved[b * len(objective_terms.layers) + k, i, o]
    return whole


@jit
def change(
    weights: WaveNetWeights,
    known: Known,
    buffers: ReceptiveFieldBuffers,
    sites: Levels,
    levels: Levels,
    accepted: Flags,
    first: int,
    last: int,
) -> None:
    """Put what was accepted of `first` to `last` into what is known."""
    for b in range(first, last):
        if accepted[b]:
            known.levels[sites[b]] = levels[b]
            settle(weights, known, buffers, b, sites[b])
