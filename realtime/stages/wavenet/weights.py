"""A WaveNet's weights laid out for the kernels: by layer, `[in][out]`, values used together side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.nets.output_distributions import Categorical
from gramophone.models.nets.wavenet import WaveNet
from gramophone.realtime.kernels.arrays import Floats, packed


class WaveNetWeights(NamedTuple):
    """float32 arrays, each aligned to a cache line.

    With `L` layers, `R` residual, `S` skip and `C` condition channels, `W` outputs: `entry` `(256, R)`, or for float
    samples `(2, R)`, weight and bias; `older` and `newer`, the two taps of each gate, `(L, R, 2R)`; `gate_bias`
    `(L, 2R)`; `condition` `(L, C, 2R)`; `exits` `(L, R, R + S)`; `exit_bias` `(L, R + S)`; `hidden` `(1, S, S)` and
    `output` `(1, S, W)` with a bias each. `dilations` `(L,)` are powers of two; `starts` `(L,)` is where each layer's
    state begins within the state of a voice.
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


def _of(module: Any, name: str) -> Tensor:
    tensor: Tensor = getattr(module, name)
    return tensor
