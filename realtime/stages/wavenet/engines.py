"""The engines that compute a WaveNet's samples: numba on the CPU or a GPU, or torch where neither works.

A WaveNet's weights laid out for the kernels: by layer, `[in][out]`, values used together side by side.
"""

from __future__ import annotations

import importlib
import logging
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.layers import mulaw
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


_LOG = logging.getLogger(__name__)
_ENGINES = {
    "cpu": "gramophone.realtime.stages.wavenet.kernel:CpuEngine",
    "cuda": "gramophone.realtime.stages.wavenet.cuda:CudaEngine",
}


class EngineError(RuntimeError):
    """An engine cannot run here, or cannot run this model; the message says why."""


class SamplerEngine(ABC):
    """Some voices of a model and their state. Symbols are float32, mu-law levels included."""

    @abstractmethod
    def __init__(self, model: WaveNet, voices: int) -> None: ...

    @abstractmethod
    def generate(self, conditions: Floats, uniforms: NDArray[np.float64], temperature: float, nucleus: float) -> Floats:
        """Return the next symbols, `(V, T)`.

        `conditions` `(V, n, C)`, with T a multiple of n; `uniforms` `(V, T, uniforms)`, random numbers from 0 to 1.
        """

    @abstractmethod
    def predict(self, conditions: Floats, given: Floats) -> Floats:
        """Return the prediction of the symbol after each of those `given`, `(V, T)`: `(V, T, width)`."""


class TorchEngine(SamplerEngine):
    """The model itself, one step a sample: slow; the reference that the others are tested against."""

    def __init__(self, model: WaveNet, voices: int) -> None:
        self._model = model
        self._last = torch.full((voices, 1, 1), silence_of(model))
        self._state = model.initial_state(self._last)

    @torch.inference_mode()
    def generate(self, conditions: Floats, uniforms: NDArray[np.float64], temperature: float, nucleus: float) -> Floats:
        """Step, draw, and step again with the symbol drawn."""
        held = torch.from_numpy(conditions).transpose(1, 2)
        hold = uniforms.shape[1] // held.shape[2]
        drawn = []
        for t in range(uniforms.shape[1]):
            predicted = self._step(self._last, held[:, :, t // hold, None])[:, :, 0]
            uniform = torch.from_numpy(uniforms[:, t])
            symbols = self._model.output.draw(predicted, uniform, temperature, nucleus)
            self._last = symbols.float()[:, None, None]
            drawn.append(symbols.float())
        return torch.stack(drawn, 1).numpy()

    @torch.inference_mode()
    def predict(self, conditions: Floats, given: Floats) -> Floats:
        """Run the model over all given symbols at once."""
        predicted = self._step(torch.from_numpy(given)[:, None], torch.from_numpy(conditions).transpose(1, 2))
        return predicted.transpose(1, 2).contiguous().numpy()

    def _step(self, symbols: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        if isinstance(self._model.output, Categorical):
            symbols = symbols.long()
        controls = (conditions,) if self._model.shape.condition else ()
        predicted, self._state = self._model.step(symbols, self._state, *controls)
        return predicted


def silence_of(model: WaveNet) -> float:
    """Return the symbol of silence."""
    return float(mulaw.SILENCE) if isinstance(model.output, Categorical) else 0.0


def engine_for(model: WaveNet, voices: int, device: str = "cpu") -> SamplerEngine:
    """Return the fastest engine that works here: on the GPU if `device` is `cuda`, else numba's on the CPU.

    Where neither works it is torch's, and a warning says why and how slow that is.
    """
    reasons = []
    for place in ("cuda", "cpu") if device == "cuda" else ("cpu",):
        try:
            return _engine(place)(model, voices)
        except (ImportError, OSError, EngineError) as error:
            reasons.append(f"{place}: {error}")
    _LOG.warning("WaveNet runs in torch, some eighty times slower, for numba does not work (%s)", "; ".join(reasons))
    return TorchEngine(model, voices)


def _engine(place: str) -> type[SamplerEngine]:
    module, _, name = _ENGINES[place].partition(":")
    engine: type[SamplerEngine] = getattr(importlib.import_module(module), name)
    return engine
