"""An LSTM capture as a stream: blocks of samples in, as many out, without delay."""

from __future__ import annotations

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.jit import jit, tanh
from gramophone.realtime.kernels.matvec import add_product
from gramophone.realtime.stages.nam.capture import LstmConfig

_HALF = np.float32(0.5)


class LstmPlayer:
    """One channel through an LSTM capture; it begins in the state that the file holds. `weights` are the file's."""

    def __init__(self, config: LstmConfig, weights: Floats) -> None:
        hidden, self._layers = config.hidden, []
        start = 0
        for layer in range(config.layers):
            inputs = hidden if layer else 1
            matrix = weights[start : start + 4 * hidden * (inputs + hidden)].reshape(4 * hidden, inputs + hidden)
            start += matrix.size
            bias = weights[start : start + 4 * hidden]
            # One row: what the layer takes, then its own output of the sample before.
            state = zeros(1, inputs + hidden)
            state[0, inputs:] = weights[start + 4 * hidden : start + 5 * hidden]
            cells = weights[start + 5 * hidden : start + 6 * hidden].copy()
            start += 6 * hidden
            transposed = zeros(1, inputs + hidden, 4 * hidden)
            transposed[0] = matrix.T
            self._layers.append((transposed, bias, state, cells, zeros(1, 4 * hidden)))
        self._head, self._head_bias = weights[start : start + hidden], weights[start + hidden]

    def process(self, block: Floats) -> Floats:
        """Return the capture's sound for a block, `(frames,)` both."""
        values = block.reshape(-1, 1)
        for layer in self._layers:
            values = _run_layer(*layer, values)
        output: Floats = _sum_up(values, self._head, self._head_bias)
        return output


@jit
def _run_layer(weights: Floats, bias: Floats, state: Floats, cells: Floats, gates: Floats, values: Floats) -> Floats:
    """Return the outputs of one layer, `(frames, hidden)`, for `values` `(frames, inputs)`.

    The gates lie in the order of torch: input, forget, cell, output (Gers, Schmidhuber and Cummins 2000).
    """
    frames, inputs = values.shape
    hidden = len(cells)
    outputs = np.empty((frames, hidden), np.float32)
    for t in range(frames):
        for i in range(inputs):
            state[0, i] = values[t, i]
        for i in range(4 * hidden):
            gates[0, i] = bias[i]
        add_product(gates, 0, state, 0, weights, 0)
        for i in range(hidden):
            entering = _HALF + _HALF * tanh(_HALF * gates[0, i])
            kept = _HALF + _HALF * tanh(_HALF * gates[0, hidden + i])
            cells[i] = kept * cells[i] + entering * tanh(gates[0, 2 * hidden + i])
            shown = _HALF + _HALF * tanh(_HALF * gates[0, 3 * hidden + i])
            state[0, inputs + i] = outputs[t, i] = shown * tanh(cells[i])
    return outputs


@jit
def _sum_up(values: Floats, weights: Floats, bias: float) -> Floats:
    """Return the weighted sums of `values` `(frames, hidden)`, plus `bias`: `(frames,)`."""
    output = np.empty(len(values), np.float32)
    for t in range(len(values)):
        total = bias
        for i in range(len(weights)):
            total += values[t, i] * weights[i]
        output[t] = total
    return output
