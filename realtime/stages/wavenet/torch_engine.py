"""A WaveNet sampled by torch: where numba does not work, and what the other engines are tested against."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.nets.output_distributions import Categorical
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.wavenet.engines import EngineError, Model, SamplerEngine, WaveNetParts, parts_of


class TorchEngine(SamplerEngine):
    """The model itself, one step a sample: slow; the reference that the others are tested against."""

    def __init__(self, model: Model, voices: int) -> None:
        if isinstance(model, WaveNetParts):
            raise EngineError("of the model there are the weights alone; expected its network")
        self._model = model
        self._last = torch.full((voices, 1, 1), parts_of(model).silence)
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
