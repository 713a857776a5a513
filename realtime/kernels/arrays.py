"""A WaveNet's weights as the kernels read them: by layer, `[in][out]`, what is used together side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.nets.output_distributions import Categorical
from gramophone.models.nets.wavenet import WaveNet

Floats = NDArray[np.float32]
_LINE = 64
"""Bytes of a cache line: vector loads that straddle two of them take twice as long."""


class WaveNetWeights(NamedTuple):
    """float32, every array on a cache line of its own.

    With `R` residual and `S` skip channels, `C` of conditions, `W` numbers predicted, `L` layers: `entry` `(256, R)`,
    or for float samples `(2, R)`, weight and bias; `older` and `newer`, the gates' taps, `(L, R, 2R)`; `gate_bias`
    `(L, 2R)`; `condition` `(L, C, 2R)`; `exits` `(L, R, R + S)`; `exit_bias` `(L, R + S)`; `hidden` `(1, S, S)` and
    `output` `(1, S, W)` with a bias each. `dilations` `(L,)` are powers of two; `starts` `(L,)` say where each layer's
    past begins in a voice's.
    """

    entry: Floats
    older: Floats
    newer: Floats
    gate_bias: Floats
    condition: Floats
    exits: Floats
    exit_bias: Floats
    hidden: Floats
    hidden_bias: Floats
    output: Floats
    output_bias: Floats
    dilations: NDArray[np.int64]
    starts: NDArray[np.int64]


def weights_of(model: WaveNet) -> WaveNetWeights:
    """Return the weights of a model."""
    shape, entry, exits = model.shape, model.entry, list(model.exits)
    taps = torch.stack([_of(gate, "weight") for gate in model.gates])
    levels = isinstance(model.output, Categorical)
    condition = (
        _of(model.biases, "weight").t() if shape.condition else torch.zeros(0, shape.layers * 2 * shape.residual)
    )
    dilations = np.array(shape.dilations, np.int64)
    return WaveNetWeights(
        entry=packed(entry.weight if levels else torch.stack((_of(entry, "weight")[:, 0], _of(entry, "bias")))),
        older=packed(taps[:, 0]),
        newer=packed(taps[:, 1]),
        gate_bias=packed(torch.stack([_of(gate, "bias") for gate in model.gates])),
        condition=packed(condition.reshape(len(condition), shape.layers, 2 * shape.residual).transpose(0, 1)),
        exits=packed(torch.stack([_of(exit_, "weight").t() for exit_ in exits])),
        exit_bias=packed(torch.stack([_of(exit_, "bias") for exit_ in exits])),
        hidden=packed(_of(model.head[1], "weight").t()[None]),
        hidden_bias=packed(_of(model.head[1], "bias")),
        output=packed(_of(model.head[3], "weight").t()[None]),
        output_bias=packed(_of(model.head[3], "bias")),
        dilations=dilations,
        starts=np.concatenate(([0], np.cumsum(dilations)[:-1])),
    )


def zeros(*shape: int) -> Floats:
    """Return float32 zeros that begin on a cache line."""
    size = int(np.prod(shape)) * 4
    raw = np.zeros(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(np.float32).reshape(shape)


def _of(module: Any, name: str) -> Tensor:
    tensor: Tensor = getattr(module, name)
    return tensor


def packed(tensor: Any) -> Floats:
    """Return a tensor as float32 that begins on a cache line."""
    array = zeros(*tensor.shape)
    array[...] = tensor.detach().float().cpu().numpy()
    return array
