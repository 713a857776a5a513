"""The effect of one symbol in a WaveNet: the activations that have it in their receptive field, computed anew.

A symbol reaches, layer by layer, as many samples from itself on as the dilations add up to, and the costs of itself and
of as many symbols as the receptive field `R` is long. All other activations are read from memory (`Known`). A row is
computed by the same sums in the same order for one change or for the whole signal, so that the activations after any
number of changes are, bit for bit, those of the whole signal.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.jit import jit as inlined
from gramophone.realtime.kernels.jit import tanh
from gramophone.realtime.kernels.matvec import add_product
from gramophone.realtime.stages.wavenet.engines import WaveNetWeights
from gramophone.realtime.stages.wavenet.kernel import KernelState, exponentiate, predict

Levels = NDArray[np.int64]
Doubles = NDArray[np.float64]
_F = np.float32

jit = partial(inlined, forceinline=False)
"""Compiled once, unlike the kernel's own functions, which are inlined wherever they are called."""


class Known(NamedTuple):
    """The activations of the network for `levels` `(T,)`.

    `paths` `((L + 1) * (P + T), R)` is the input of each layer, after `P` rows of silence, and what leaves the last;
    `skips` `(L * T, S)` the skip paths' sum after each layer; `nats` `(T,)` what each level costs after those before
    (the first costs nothing).
    """

    levels: Levels
    paths: Floats
    skips: Floats
    nats: Doubles


class ReceptiveFieldBuffers(NamedTuple):
    """The changed activations of `B` sites: as in `Known`, of the samples reached, after each layer's older taps.

    `reach` `(L + 1,)` are the samples of each layer's input that a site reaches; a site has `rows` rows of paths and of
    skips, where layer `l` begins at `starts[l]`, `(2, L + 1)`.
    """

    reach: Levels
    rows: Levels
    starts: Levels
    paths: Floats
    skips: Floats
    nats: Doubles


def known_of(weights: WaveNetWeights, length: int) -> Known:
    """Return empty activations of `length` symbols."""
    layers, residual, exits = weights.exits.shape
    return Known(
        levels=np.zeros(length, np.int64),
        paths=zeros((layers + 1) * (int(weights.dilations.max()) + length), residual),
        skips=zeros(layers * length, exits - residual),
        nats=np.zeros(length),
    )


def buffers_of(weights: WaveNetWeights, sites: int, width: int = 1) -> ReceptiveFieldBuffers:
    """Return buffers for the changed activations of `sites` changes, `width` symbols long each."""
    residual, exits = weights.exits.shape[1:]
    reach = width + np.concatenate(([0], np.cumsum(weights.dilations)))
    left = np.append(reach[1:], reach[-1])
    own = np.stack((np.append(weights.dilations, 0) + left, left))
    ends = np.cumsum(own, axis=1)
    return ReceptiveFieldBuffers(
        reach=reach,
        rows=ends[:, -1].copy(),
        starts=ends - own,
        paths=zeros(sites * int(ends[0, -1]), residual),
        skips=zeros(sites * int(ends[1, -1]), exits - residual),
        nats=np.zeros((sites, int(reach[-1]) + 1)),
    )


@jit
def cost(work: KernelState, level: int) -> float:
    """Return what a level costs by `work.predicted` in nats; sums and maxima by halves, which are vectors."""
    n = work.predicted.shape[1]
    for i in range(n):
        work.mass[i] = work.predicted[0, i]
    half = n // 2
    while half > 0:
        for i in range(half):
            work.mass[i] = max(work.mass[i], work.mass[half + i])
        half //= 2
    largest = work.mass[0]
    exponentiate(work, n, largest, _F(1))
    half = n // 2
    while half > 0:
        for i in range(half):
            work.mass[i] += work.mass[half + i]
        half //= 2
    nats: float = math.log(work.mass[0]) + largest - work.predicted[0, level]
    return nats


@inlined
def _gate(weights: WaveNetWeights, buffers: ReceptiveFieldBuffers, work: KernelState, layer: int, row: int) -> None:
    """Make a layer's gated units from a row of its input and the one a dilation before."""
    residual = weights.exits.shape[1]
    for i in range(2 * residual):
        work.both[0, i] = weights.gate_bias[layer, i]
    add_product(work.both, 0, buffers.paths, row - weights.dilations[layer], weights.older, layer)
    add_product(work.both, 0, buffers.paths, row, weights.newer, layer)
    for i in range(residual):
        sigmoid = _F(0.5) + _F(0.5) * tanh(_F(0.5) * work.both[0, residual + i])
        work.gated[0, i] = tanh(work.both[0, i]) * sigmoid


@jit
def _spread_layer(
    weights: WaveNetWeights,
    known: Known,
    buffers: ReceptiveFieldBuffers,
    work: KernelState,
    b: int,
    site: int,
    layer: int,
) -> None:
    """Compute a layer's output from its changed input; rows that are not reached are read from `known`."""
    residual = weights.exits.shape[1]
    length, dilation = len(known.levels), weights.dilations[layer]
    reached, reaches = min(buffers.reach[layer], length - site), min(buffers.reach[layer + 1], length - site)
    silence = len(known.paths) // (len(weights.exits) + 1) - length
    old = layer * (silence + length) + silence + site
    here = b * buffers.rows[0] + buffers.starts[0, layer] + dilation
    after = b * buffers.rows[0] + buffers.starts[0, layer + 1]
    if layer + 1 < len(weights.exits):
        after += weights.dilations[layer + 1]
    skips = b * buffers.rows[1] + buffers.starts[1, layer]
    before = b * buffers.rows[1] + buffers.starts[1, max(layer - 1, 0)]
    for j in range(dilation):
        for i in range(residual):
            buffers.paths[here - dilation + j, i] = known.paths[old - dilation + j, i]
    for j in range(reached, reaches):
        for i in range(residual):
            buffers.paths[here + j, i] = known.paths[old + j, i]
    for j in range(reaches):
        _gate(weights, buffers, work, layer, here + j)
        for i in range(residual):
            work.sums[0, i] = buffers.paths[here + j, i] + weights.exit_bias[layer, i]
        for i in range(known.skips.shape[1]):
            skip = _F(0)
            if layer > 0:
                skip = buffers.skips[before + j, i] if j < reached else known.skips[(layer - 1) * length + site + j, i]
            work.sums[0, residual + i] = skip + weights.exit_bias[layer, residual + i]
        add_product(work.sums, 0, work.gated, 0, weights.exits, layer)
        for i in range(residual):
            buffers.paths[after + j, i] = work.sums[0, i]
        for i in range(known.skips.shape[1]):
            buffers.skips[skips + j, i] = work.sums[0, residual + i]


@jit
def spread(
    weights: WaveNetWeights, known: Known, buffers: ReceptiveFieldBuffers, work: KernelState, b: int, site: int
) -> None:
    """Compute the changed activations `b` of the symbol put at `site`, but for its own cost.

    Levels after the site are as they are known.
    """
    layers = len(weights.exits)
    length = len(known.levels)
    for layer in range(layers):
        _spread_layer(weights, known, buffers, work, b, site, layer)
    last = b * buffers.rows[1] + buffers.starts[1, layers - 1]
    residual = weights.exits.shape[1]
    for j in range(min(buffers.reach[layers], length - 1 - site)):
        for i in range(known.skips.shape[1]):
            work.sums[0, residual + i] = buffers.skips[last + j, i]
        predict(weights, work, 0)
        buffers.nats[b, 1 + j] = cost(work, known.levels[site + 1 + j])


@jit
def put(weights: WaveNetWeights, buffers: ReceptiveFieldBuffers, b: int, level: int) -> None:
    """Put a level at the site of change `b`."""
    row = b * buffers.rows[0] + weights.dilations[0]
    for i in range(weights.entry.shape[1]):
        buffers.paths[row, i] = weights.entry[level, i]


@jit
def settle(weights: WaveNetWeights, known: Known, buffers: ReceptiveFieldBuffers, b: int, site: int) -> None:
    """Copy changed activations to `known`, but for the levels themselves."""
    layers = len(weights.exits)
    length = len(known.levels)
    silence = len(known.paths) // (layers + 1) - length
    for layer in range(layers + 1):
        here = b * buffers.rows[0] + buffers.starts[0, layer]
        if layer < layers:
            here += weights.dilations[layer]
        old = layer * (silence + length) + silence + site
        for j in range(min(buffers.reach[layer], length - site)):
            for i in range(known.paths.shape[1]):
                known.paths[old + j, i] = buffers.paths[here + j, i]
    for layer in range(layers):
        for j in range(min(buffers.reach[layer + 1], length - site)):
            for i in range(known.skips.shape[1]):
                known.skips[layer * length + site + j, i] = buffers.skips[
                    b * buffers.rows[1] + buffers.starts[1, layer] + j, i
                ]
    for j in range(min(buffers.nats.shape[1], length - site)):
        known.nats[site + j] = buffers.nats[b, j]


def know(weights: WaveNetWeights, known: Known, work: KernelState) -> None:
    """Compute `known` from its levels, as one change of their whole length."""
    buffers = buffers_of(weights, 1, len(known.levels))
    first = int(weights.dilations[0])
    buffers.paths[first : first + len(known.levels)] = weights.entry[known.levels]
    spread(weights, known, buffers, work, 0, 0)
    settle(weights, known, buffers, 0, 0)


@jit
def own_costs(weights: WaveNetWeights, known: Known, work: KernelState, sites: Levels, costs: Doubles) -> None:
    """Write what each level would cost at `sites` `(B,)` to `costs`, `(B, 256)`; nothing for the first symbol."""
    residual = weights.exits.shape[1]
    for b in range(len(sites)):
        row = (len(weights.exits) - 1) * len(known.levels) + max(sites[b] - 1, 0)
        for i in range(known.skips.shape[1]):
            work.sums[0, residual + i] = known.skips[row, i]
        predict(weights, work, 0)
        first = cost(work, 0)
        for i in range(costs.shape[1]):
            costs[b, i] = first + work.predicted[0, 0] - work.predicted[0, i] if sites[b] > 0 else 0.0
