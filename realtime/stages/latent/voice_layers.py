"""Causal convolutions of three taps, a frame at a time on one core: what past frames are to the next, and what it is.

The first is two thirds of all weights and is known a hop before the frame comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.kernels.matvec import add_product

TAPS = 3
compiled = partial(jit, forceinline=False)
"""Compiled once, not at every call: these are kernels of many products, each a thousand times as long as a call."""


class Layers(NamedTuple):
    """Layers of the same width: `taps` `(L * TAPS, I, O)`, the oldest of each first, and `bias` `(L, O)`.

    `starts` says where each layer's past begins, which is of twice its dilation.
    """

    taps: Floats
    bias: Floats
    dilations: NDArray[np.int64]
    starts: NDArray[np.int64]


class LayerState(NamedTuple):
    """The layers' past, one after the other, `(sum, I)`, and what the next frame's sums are so far, `(L, O)`."""

    past: Floats
    known: Floats


def layers_of(convolutions: Sequence[Any]) -> Layers:
    """Return the weights of convolutions."""
    dilations = np.array([convolution.dilation for convolution in convolutions], np.int64)
    return Layers(
        packed(torch.cat([convolution.weight for convolution in convolutions])),
        packed(torch.stack([convolution.bias for convolution in convolutions])),
        dilations,
        2 * np.concatenate(([0], np.cumsum(dilations)[:-1])),
    )


def memory_of(layers: Layers) -> LayerState:
    """Return silence."""
    return LayerState(zeros(2 * int(layers.dilations.sum()), layers.taps.shape[1]), zeros(*layers.bias.shape))


@compiled
def multiply(y: Floats, v: int, x: Floats, u: int, w: Floats, layer: int) -> None:
    """Add `x[u] @ w[layer]` to `y[v]`."""
    add_product(y, v, x, u, w, layer)


@compiled
def look_back(layers: Layers, memory: LayerState, now: int) -> None:
    """Work out what frames before frame `now` are to it, in every layer."""
    count, outputs = layers.bias.shape
    for layer in range(count):
        dilation, start = layers.dilations[layer], layers.starts[layer]
        for i in range(outputs):
            memory.known[layer, i] = layers.bias[layer, i]
        oldest, old = start + now % (2 * dilation), start + (now + dilation) % (2 * dilation)
        multiply(memory.known, layer, memory.past, oldest, layers.taps, TAPS * layer)
        multiply(memory.known, layer, memory.past, old, layers.taps, TAPS * layer + 1)


@jit
def place_of(layers: Layers, layer: int, now: int) -> Any:
    """Return where in the past a layer's input of frame `now` goes."""
    return layers.starts[layer] + now % (2 * layers.dilations[layer])


@compiled
def finish(layers: Layers, memory: LayerState, layer: int, now: int) -> None:
    """Add to `memory.known` what frame `now`, which is in its place, is to a layer."""
    multiply(memory.known, layer, memory.past, place_of(layers, layer, now), layers.taps, TAPS * layer + 2)


@jit
def leaky(x: Any) -> Any:
    """Return what a `LeakyReLU` of 0.2 does."""
    return x if x > 0 else np.float32(0.2) * x
