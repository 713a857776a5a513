"""What one symbol changes in a WaveNet: the cone of activations after it, made anew with all else as it is known.

A symbol reaches, layer by layer, as many samples as the layers' dilations add up to, one after the other from itself,
and the costs of itself and of as many symbols as the receptive field `R` is long. All else is read from what is known.
A row is made by the same sums in the same order whether it is made in a cone or with the whole signal, so that what is
known after any number of changes is, bit for bit, what the whole signal gives.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.jit import jit as inlined
from gramophone.realtime.kernels.matvec import add_product
from gramophone.realtime.stages.wavenet.kernel import KernelState, exponentiate, predict, tanh
from gramophone.realtime.stages.wavenet.weights import WaveNetWeights

Levels = NDArray[np.int64]
Doubles = NDArray[np.float64]
_F = np.float32

jit = partial(inlined, forceinline=False)
"""Compiled once, where the kernel's own functions are once more wherever they are called."""


class Known(NamedTuple):
    """All that the network makes of `levels` `(T,)`.

    `paths` `((L + 1) * (P + T), R)` is the input of each layer, after `P` rows of silence, and what leaves the last;
    `skips` `(L * T, S)` the skip paths' sum after each layer; `nats` `(T,)` what each level costs after those before
    (the first costs nothing).
    """

    levels: Levels
    paths: Floats
    skips: Floats
    nats: Doubles


class ReceptiveFieldBuffers(NamedTuple):
    """Cones of `B` sites: the same as in `Known`, of the samples that are reached, with each layer's older taps before.

    `reach` `(L + 1,)` are the samples of each layer's input that a site reaches; a cone has `rows` rows of paths and of
    skips, where layer `l` begins at `starts[l]`, `(2, L + 1)`.
    """

    reach: Levels
    rows: Levels
    starts: Levels
    paths: Floats
    skips: Floats
    nats: Doubles


def known_of(weights: WaveNetWeights, length: int) -> Known:
    """Return what is known of `length` symbols before anything is."""
    layers, residual, exits = weights.exits.shape
    return Known(
        levels=np.zeros(length, np.int64),
        paths=zeros((layers + 1) * (int(weights.dilations.max()) + length), residual),
        skips=zeros(layers * length, exits - residual),
        nats=np.zeros(length),
    )


def room_of(weights: WaveNetWeights, sites: int, width: int = 1) -> ReceptiveFieldBuffers:
    """Return room for the cones of `sites` changes, `width` symbols long each."""
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
def _gate(weights: WaveNetWeights, room: ReceptiveFieldBuffers, work: KernelState, layer: int, row: int) -> None:
    """Make a layer's gated units from a row of its input and the one a dilation before."""
    residual = weights.exits.shape[1]
    for i in range(2 * residual):
        work.both[0, i] = weights.gate_bias[layer, i]
    add_product(work.both, 0, room.paths, row - weights.dilations[layer], weights.older, layer)
    add_product(work.both, 0, room.paths, row, weights.newer, layer)
    for i in range(residual):
        sigmoid = _F(0.5) + _F(0.5) * tanh(_F(0.5) * work.both[0, residual + i])
        work.gated[0, i] = tanh(work.both[0, i]) * sigmoid


@jit
def _spread_layer(
    weights: WaveNetWeights, known: Known, room: ReceptiveFieldBuffers, work: KernelState, b: int, site: int, layer: int
) -> None:
    """Make what the layer leaves, from its input in the cone; rows that were not reached come from what is known."""
    residual = weights.exits.shape[1]
    length, dilation = len(known.levels), weights.dilations[layer]
    reached, reaches = min(room.reach[layer], length - site), min(room.reach[layer + 1], length - site)
    silence = len(known.paths) // (len(weights.exits) + 1) - length
    old = layer * (silence + length) + silence + site
    here = b * room.rows[0] + room.starts[0, layer] + dilation
    after = b * room.rows[0] + room.starts[0, layer + 1]
    if layer + 1 < len(weights.exits):
        after += weights.dilations[layer + 1]
    skips = b * room.rows[1] + room.starts[1, layer]
    before = b * room.rows[1] + room.starts[1, max(layer - 1, 0)]
    for j in range(dilation):
        for i in range(residual):
            room.paths[here - dilation + j, i] = known.paths[old - dilation + j, i]
    for j in range(reached, reaches):
        for i in range(residual):
            room.paths[here + j, i] = known.paths[old + j, i]
    for j in range(reaches):
        _gate(weights, room, work, layer, here + j)
        for i in range(residual):
            work.sums[0, i] = room.paths[here + j, i] + weights.exit_bias[layer, i]
        for i in range(known.skips.shape[1]):
            skip = _F(0)
            if layer > 0:
                skip = room.skips[before + j, i] if j < reached else known.skips[(layer - 1) * length + site + j, i]
            work.sums[0, residual + i] = skip + weights.exit_bias[layer, residual + i]
        add_product(work.sums, 0, work.gated, 0, weights.exits, layer)
        for i in range(residual):
            room.paths[after + j, i] = work.sums[0, i]
        for i in range(known.skips.shape[1]):
            room.skips[skips + j, i] = work.sums[0, residual + i]


@jit
def spread(
    weights: WaveNetWeights, known: Known, room: ReceptiveFieldBuffers, work: KernelState, b: int, site: int
) -> None:
    """Make the cone `b` of what was put at `site`, the first rows of the first layer's input; not the cost of itself.

    Levels after the site are as they are known.
    """
    layers = len(weights.exits)
    length = len(known.levels)
    for layer in range(layers):
        _spread_layer(weights, known, room, work, b, site, layer)
    last = b * room.rows[1] + room.starts[1, layers - 1]
    residual = weights.exits.shape[1]
    for j in range(min(room.reach[layers], length - 1 - site)):
        for i in range(known.skips.shape[1]):
            work.sums[0, residual + i] = room.skips[last + j, i]
        predict(weights, work, 0)
        room.nats[b, 1 + j] = cost(work, known.levels[site + 1 + j])


@jit
def put(weights: WaveNetWeights, room: ReceptiveFieldBuffers, b: int, level: int) -> None:
    """Put a level at the site of cone `b`."""
    row = b * room.rows[0] + weights.dilations[0]
    for i in range(weights.entry.shape[1]):
        room.paths[row, i] = weights.entry[level, i]


@jit
def settle(weights: WaveNetWeights, known: Known, room: ReceptiveFieldBuffers, b: int, site: int) -> None:
    """Make a cone known, but for the levels themselves."""
    layers = len(weights.exits)
    length = len(known.levels)
    silence = len(known.paths) // (layers + 1) - length
    for layer in range(layers + 1):
        here = b * room.rows[0] + room.starts[0, layer]
        if layer < layers:
            here += weights.dilations[layer]
        old = layer * (silence + length) + silence + site
        for j in range(min(room.reach[layer], length - site)):
            for i in range(known.paths.shape[1]):
                known.paths[old + j, i] = room.paths[here + j, i]
    for layer in range(layers):
        for j in range(min(room.reach[layer + 1], length - site)):
            for i in range(known.skips.shape[1]):
                known.skips[layer * length + site + j, i] = room.skips[b * room.rows[1] + room.starts[1, layer] + j, i]
    for j in range(min(room.nats.shape[1], length - site)):
        known.nats[site + j] = room.nats[b, j]


def know(weights: WaveNetWeights, known: Known, work: KernelState) -> None:
    """Make known what the network makes of `known.levels`: the cone of one change as long as all of them."""
    room = room_of(weights, 1, len(known.levels))
    first = int(weights.dilations[0])
    room.paths[first : first + len(known.levels)] = weights.entry[known.levels]
    spread(weights, known, room, work, 0, 0)
    settle(weights, known, room, 0, 0)


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
