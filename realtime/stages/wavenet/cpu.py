"""The CPU engine: the numba kernel and its state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.models.nets.wavenet import WaveNet
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.wavenet import kernel
from gramophone.realtime.stages.wavenet.engines import SamplerEngine, silence_of, weights_of


class CpuEngine(SamplerEngine):
    """Samples voices on one core, without the interpreter lock."""

    def __init__(self, model: WaveNet, voices: int) -> None:
        self._weights = weights_of(model)
        self._state = kernel.state_of(self._weights, voices, silence_of(model))
        self._now = 0

    def generate(self, conditions: Floats, uniforms: NDArray[np.float64], temperature: float, nucleus: float) -> Floats:
        """Draw a chunk of symbols in one call."""
        voices, samples = uniforms.shape[:2]
        drawn, no_symbols = np.empty((voices, samples), np.float32), np.empty((voices, 0), np.float32)
        self._generate(
            conditions, no_symbols, uniforms, temperature, nucleus, drawn, np.empty((voices, 0, 0), np.float32)
        )
        self._now += samples
        return drawn

    def predict(self, conditions: Floats, given: Floats) -> Floats:
        """Predict the next symbol after each of a chunk in one call."""
        predicted = np.empty((*given.shape, len(self._weights.output_bias)), np.float32)
        self._generate(
            conditions, given, np.empty((len(given), 0, 1)), 1.0, 1.0, np.empty_like(given[:, :0]), predicted
        )
        self._now += given.shape[1]
        return predicted

    def _generate(
        self,
        conditions: Floats,
        given: Floats,
        uniforms: NDArray[np.float64],
        temperature: float,
        nucleus: float,
        drawn: Floats,
        predicted: Floats,
    ) -> None:
        voices, frames, channels = conditions.shape
        rows = conditions.reshape(voices * frames, channels)
        kernel.generate(
            self._weights,
            self._state,
            self._now,
            rows,
            given,
            uniforms,
            float(temperature),
            float(nucleus),
            drawn,
            predicted,
        )
