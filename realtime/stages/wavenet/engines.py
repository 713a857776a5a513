"""The engines that compute a WaveNet's samples: numba on the CPU or a GPU, or torch where neither works.

A WaveNet's weights laid out for the kernels: by layer, `[in][out]`, values used together side by side.
"""

from __future__ import annotations

import importlib
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, packed

if TYPE_CHECKING:
    from torch import Tensor

    from gramophone.models.nets.wavenet import WaveNet


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
    import torch

    from gramophone.models.nets.output_distributions import Categorical

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


class WaveNetParts(NamedTuple):
    """What a sampler takes of a model.

    `condition` is the number of conditions, `uniforms` of random numbers for a sample; `silence` is the symbol of
    silence, `levels` `(256,)` the amplitudes of mu-law levels, or empty where symbols are amplitudes.
    """

    weights: WaveNetWeights
    condition: int
    uniforms: int
    silence: float
    levels: Floats


def parts_of(model: WaveNet) -> WaveNetParts:
    """Return what `Sampler` takes of a model."""
    import torch

    from gramophone.models.layers import mulaw
    from gramophone.models.nets.output_distributions import Categorical

    levels: Floats = np.zeros(0, np.float32)
    if isinstance(model.output, Categorical):
        levels = mulaw.decode(torch.arange(mulaw.LEVELS)).float().numpy()
    silence = float(mulaw.SILENCE) if len(levels) else 0.0
    return WaveNetParts(weights_of(model), model.shape.condition, model.output.uniforms, silence, levels)


_LOG = logging.getLogger(__name__)
_ENGINES = {
    "cpu": "gramophone.realtime.stages.wavenet.kernel:CpuEngine",
    "cuda": "gramophone.realtime.stages.wavenet.cuda:CudaEngine",
    "torch": "gramophone.realtime.stages.wavenet.torch_engine:TorchEngine",
}


class EngineError(RuntimeError):
    """An engine cannot run here, or cannot run this model; the message says why."""


Model: TypeAlias = "WaveNet | WaveNetParts"
"""A network, or what a sampler takes of it."""


class SamplerEngine(ABC):
    """Some voices of a model and their state. Symbols are float32, mu-law levels included."""

    @abstractmethod
    def __init__(self, model: Model, voices: int) -> None: ...

    @abstractmethod
    def generate(self, conditions: Floats, uniforms: NDArray[np.float64], temperature: float, nucleus: float) -> Floats:
        """Return the next symbols, `(V, T)`.

        `conditions` `(V, n, C)`, with T a multiple of n; `uniforms` `(V, T, uniforms)`, random numbers from 0 to 1.
        """

    @abstractmethod
    def predict(self, conditions: Floats, given: Floats) -> Floats:
        """Return the prediction of the symbol after each of those `given`, `(V, T)`: `(V, T, width)`."""


def engine_for(model: Model, voices: int, device: str = "cpu") -> SamplerEngine:
    """Return the fastest engine that works here: on the GPU if `device` is `cuda`, else numba's on the CPU.

    Where neither works it is torch's, and a warning says why and how slow that is. Of a model's parts alone, without
    its network, only the CPU's engine can be made.

    Raises:
        EngineError: it cannot.
    """
    reasons = []
    for place in ("cuda", "cpu") if device == "cuda" else ("cpu",):
        try:
            return _engine(place)(model, voices)
        except (ImportError, OSError, EngineError) as error:
            reasons.append(f"{place}: {error}")
    if isinstance(model, WaveNetParts):
        raise EngineError("; ".join(reasons))
    _LOG.warning("WaveNet runs in torch, some eighty times slower, for numba does not work (%s)", "; ".join(reasons))
    return _engine("torch")(model, voices)


def _engine(place: str) -> type[SamplerEngine]:
    module, _, name = _ENGINES[place].partition(":")
    engine: type[SamplerEngine] = getattr(importlib.import_module(module), name)
    return engine
