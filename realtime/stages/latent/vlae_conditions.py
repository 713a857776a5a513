"""The conditions of a VLAE's WaveNet on one core, frame by frame: the speaker's vector and the latents, by one kernel.

A draw depends on the last bit of its conditions, and all that follow on the draw. So products are added up as ONNX
Runtime does, which computed them when the shipped sounds were made: 256 inputs at a time from zero, then to the bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.matvec import add_products_from_memory
from gramophone.realtime.stages.latent.voice_layers import compiled, leaky_relu

if TYPE_CHECKING:
    from gramophone.models.nets.wavenet import Conditions, WaveNetShape

_F = np.float32
_TAPS = 3
_TOGETHER = 256
"""Inputs whose products are added up from zero."""


class ConditionsWeights(NamedTuple):
    """Matrices `[in][out]`, flat, and biases; there are `U` units of width `W`.

    `table`, the speakers' vectors; `entry` and `units`, of three taps; `mixes`, of one; `out`. `dilations` `(U,)`.
    """

    table: Floats
    entry: Floats
    entry_bias: Floats
    units: Floats
    unit_bias: Floats
    mixes: Floats
    mix_bias: Floats
    out: Floats
    out_bias: Floats
    dilations: NDArray[np.int64]


class ConditionsState(NamedTuple):
    """The last inputs, `(3 * I,)`, and of each unit, `(U, (2 * dilation + 1) * W or more)`; the rest is work space.

    `row` is what a unit's taps read, `(3 * W,)`.
    """

    inputs: Floats
    past: Floats
    row: Floats
    path: Floats
    inner: Floats
    part: Floats


def fits(shape: WaveNetShape) -> bool:
    """Return whether the conditions are latents that pass residual units together with a speaker's vector."""
    return bool(shape.local and shape.units and not shape.vector and not shape.upsampling)


class ConditionsParts(NamedTuple):
    """What conditions are computed by, from silence, and how many they are."""

    weights: ConditionsWeights
    state: ConditionsState
    conditions: int


def conditions_parts(conditions: Conditions) -> ConditionsParts:
    """Return what `LiveConditions` takes of a model that `fits`."""
    weights, sizes = _weights_of(conditions), conditions.shape
    vector = sizes.speaker if sizes.speakers else 0
    return ConditionsParts(weights, _silence(weights, sizes), vector + len(weights.out_bias))


class LiveConditions:
    """Latents `(D,)` and weights over the speakers `(S,)` to conditions `(C,)`: those of a model that `fits`."""

    def __init__(self, parts: ConditionsParts) -> None:
        weights, state, self._conditions = parts
        example = weights.out_bias
        self._compute = bind(_compute, (weights, state), 0, example, example, example)
        self._frame = 0

    def compute(self, latents: Floats, speakers: Floats) -> Floats:
        """Return the conditions of the next frame."""
        found = np.zeros(self._conditions, np.float32)
        self._compute(self._frame, np.array(latents, np.float32), np.array(speakers, np.float32), found)
        self._frame += 1
        return found


def _silence(weights: ConditionsWeights, sizes: WaveNetShape) -> ConditionsState:
    """Return the state of silence."""
    units, width = len(weights.dilations), sizes.width
    longest = 2 * int(weights.dilations.max()) + 1
    return ConditionsState(
        inputs=zeros(_TAPS * sizes.series_inputs),
        past=zeros(units, longest * width),
        row=zeros(_TAPS * width),
        path=zeros(width),
        inner=zeros(width),
        part=zeros(max(width, len(weights.out_bias))),
    )


def _weights_of(conditions: Conditions) -> ConditionsWeights:
    import torch

    (entry, *units, out) = cast(Any, conditions.series.layers[0]).layers
    bodies = [cast(Any, unit).layers[1].layers for unit in units]
    table = conditions.table if conditions.shape.speakers else torch.zeros(0)
    return ConditionsWeights(
        table=packed(table.flatten()),
        entry=packed(entry.weight.flatten()),
        entry_bias=packed(entry.bias),
        units=packed(torch.cat([body[1].weight.flatten() for body in bodies])),
        unit_bias=packed(torch.stack([body[1].bias for body in bodies])),
        mixes=packed(torch.cat([body[3].weight.flatten() for body in bodies])),
        mix_bias=packed(torch.stack([body[3].bias for body in bodies])),
        out=packed(out.weight.flatten()),
        out_bias=packed(out.bias),
        dilations=np.array([body[1].dilation for body in bodies], np.int64),
    )


@compiled
def _compute(bound: Any, now: int, latents: Floats, speakers: Floats, found: Floats) -> None:
    """Write the conditions of frame `now` into `found`: the speaker's vector, then what the network makes of both."""
    weights, state = contents(bound)
    width, size = len(state.path), len(state.inputs) // _TAPS
    vector = size - len(latents)
    for i in range((_TAPS - 1) * size):
        state.inputs[i] = state.inputs[i + size]
    for i in range(vector):
        total = _F(0)
        for speaker in range(len(speakers)):
            total += speakers[speaker] * weights.table[speaker * vector + i]
        found[i] = total
        state.inputs[(_TAPS - 1) * size + i] = total
    for i in range(len(latents)):
        state.inputs[(_TAPS - 1) * size + vector + i] = latents[i]
    _apply(state.inputs, weights.entry, 0, weights.entry_bias, state.path, state.part)
    for unit in range(len(weights.dilations)):
        dilation = weights.dilations[unit]
        ring = 2 * dilation + 1
        for tap in range(_TAPS):
            place = ((now + 1 + tap * dilation) % ring) * width
            for i in range(width):
                if tap == _TAPS - 1:
                    state.past[unit, place + i] = leaky_relu(state.path[i])
                state.row[tap * width + i] = state.past[unit, place + i]
        _apply(state.row, weights.units, unit * _TAPS * width * width, weights.unit_bias[unit], state.inner, state.part)
        for i in range(width):
            state.row[i] = leaky_relu(state.inner[i])
        mixed = state.row[:width]
        _apply(mixed, weights.mixes, unit * width * width, weights.mix_bias[unit], state.inner, state.part)
        for i in range(width):
            state.path[i] += state.inner[i]
    _apply(state.path, weights.out, 0, weights.out_bias, found[vector:], state.part)


@compiled
def _apply(x: Floats, w: Floats, at: int, bias: Floats, y: Floats, part: Floats) -> None:
    """Set `y` to the bias and the products of `x` with a matrix that begins at `at`; `part` is work space."""
    outputs = len(bias)
    for i in range(outputs):
        y[i] = bias[i]
    for first in range(0, len(x), _TOGETHER):
        inputs = min(_TOGETHER, len(x) - first)
        for i in range(outputs):
            part[i] = _F(0)
        add_products_from_memory(part, 0, x, first, w, at + first * outputs, inputs, outputs, (outputs, inputs), 1)
        for i in range(outputs):
            y[i] += part[i]
