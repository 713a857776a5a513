"""Causal convolutions of three taps, frame by frame on one core, in two steps.

`add_past` adds up what past frames contribute to the next: two of three taps, and so two thirds of all weights, which
can be done a hop before the frame is there. `add_newest` adds the third tap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, packed, packed_weights, zeros
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.kernels.matvec import add_product_from_memory

TAPS = 3
compiled = partial(jit, forceinline=False)
"""Compiled as functions of their own, not inlined: one runs a thousand times as long as a call takes."""


class Layers(NamedTuple):
    """Layers of equal width: `taps` `(L * TAPS, I, O)`, oldest first in each layer, and `bias` `(L, O)`.

    `starts` is where each layer's past begins in the state; it holds twice the layer's dilation.
    """

    taps: Floats
    bias: Floats
    dilations: NDArray[np.int64]
    starts: NDArray[np.int64]


class LayerState(NamedTuple):
    """Past inputs, layer after layer, `(sum of 2 * dilations, I)`, and the next frame's sums, `(L, O)`."""

    past: Floats
    sums: Floats


class FrameByFrame:
    """Calls a bound kernel for one frame after the other, and once before each the one that adds up the past.

    Both take the number of the frame first, then `compute` the frame's inputs.
    """

    def __init__(self, add_past: Callable[[int], None], compute: Callable[..., None]) -> None:
        self._add_past, self._compute = add_past, compute
        self._frame, self._prepared = 0, False

    def prepare(self) -> None:
        """Add up what past frames contribute to the next, which is done with it if this was not called."""
        if not self._prepared:
            self._add_past(self._frame)
            self._prepared = True

    def advance(self, *inputs: object) -> None:
        """Compute the next frame."""
        self.prepare()
        self._compute(self._frame, *inputs)
        self._frame, self._prepared = self._frame + 1, False


def layers_of(convolutions: Sequence[Any]) -> Layers:
    """Return the weights of `CausalConv1d` layers, in the kernels' layout."""
    import torch

    dilations = np.array([convolution.dilation for convolution in convolutions], np.int64)
    return Layers(
        packed_weights(torch.cat([convolution.weight for convolution in convolutions])),
        packed(torch.stack([convolution.bias for convolution in convolutions])),
        dilations,
        2 * np.concatenate(([0], np.cumsum(dilations)[:-1])),
    )


def initial_state(layers: Layers) -> LayerState:
    """Return the state of silence."""
    return LayerState(zeros(2 * int(layers.dilations.sum()), layers.taps.shape[1]), zeros(*layers.bias.shape))


@compiled
def multiply(y: Floats, v: int, x: Floats, u: int, w: Floats, layer: int) -> None:
    """Add `x[u] @ w[layer]` to `y[v]` (`kernels/matvec.py`); a frame's weights have left the caches since the last."""
    add_product_from_memory(y, v, x, u, w, layer)


@compiled
def add_past(layers: Layers, state: LayerState, now: int) -> None:
    """Set the sums of every layer to what frames before frame `now` contribute to it."""
    count, outputs = layers.bias.shape
    for layer in range(count):
        dilation, start = layers.dilations[layer], layers.starts[layer]
        for i in range(outputs):
            state.sums[layer, i] = layers.bias[layer, i]
        oldest, old = start + now % (2 * dilation), start + (now + dilation) % (2 * dilation)
        multiply(state.sums, layer, state.past, oldest, layers.taps, TAPS * layer)
        multiply(state.sums, layer, state.past, old, layers.taps, TAPS * layer + 1)


@jit
def slot_of(layers: Layers, layer: int, now: int) -> Any:
    """Return the row of the past that a layer's input of frame `now` belongs in."""
    return layers.starts[layer] + now % (2 * layers.dilations[layer])


@compiled
def add_newest(layers: Layers, state: LayerState, layer: int, now: int) -> None:
    """Add to a layer's sums the contribution of frame `now`, whose input is in its slot."""
    multiply(state.sums, layer, state.past, slot_of(layers, layer, now), layers.taps, TAPS * layer + 2)


@jit
def leaky_relu(x: Any) -> Any:
    """Return `LeakyReLU(0.2)` of `x`."""
    return x if x > 0 else np.float32(0.2) * x


@compiled
def add_units(
    units: Layers, state: LayerState, mixes: Floats, mix_bias: Floats, path: Floats, inner: Floats, now: int
) -> None:
    """Pass `path` `(1, W)` through residual units: a layer of `units`, and `mixes` `(U, W, W)` of one tap, each.

    `inner` `(1, W)` is work space.
    """
    for unit in range(len(mixes)):
        place = slot_of(units, unit, now)
        for i in range(path.shape[1]):
            state.past[place, i] = leaky_relu(path[0, i])
        add_newest(units, state, unit, now)
        for i in range(path.shape[1]):
            inner[0, i] = leaky_relu(state.sums[unit, i])
            path[0, i] += mix_bias[unit, i]
        multiply(path, 0, inner, 0, mixes, unit)
