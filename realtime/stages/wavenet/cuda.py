"""The GPU engine: one thread block a voice, resident for a whole chunk of samples.

A thread computes one output of a product; the weights, stored `[in][out]`, are read side by side by the threads.
Threads of a block exchange values through shared memory, so a sample needs no kernel launch. In the draw, each thread
decides for one level whether the uniform random number lies beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.wavenet.engines import EngineError, Model, SamplerEngine, WaveNetParts, parts_of

_WIDEST = 1024
"""Threads that a block may have, and so the width of the widest layer."""
_LEAST_LOG_SCALE = -9.0


class CudaEngine(SamplerEngine):
    """Samples voices on a GPU, each in a block.

    Raises:
        EngineError: numba finds no GPU, or the model is too wide for a block.
    """

    def __init__(self, model: Model, voices: int) -> None:
        if not cuda.is_available():
            raise EngineError("numba finds no CUDA device")
        parts = model if isinstance(model, WaveNetParts) else parts_of(model)
        weights = parts.weights
        layers, residual, exits = weights.exits.shape
        width = len(weights.output_bias)
        self._threads = -(-max(2 * residual, exits, width) // 32) * 32
        if self._threads > _WIDEST:
            raise EngineError(f"layers of {self._threads} channels: expected at most {_WIDEST}")
        self._weights = [cuda.to_device(np.ascontiguousarray(array)) for array in weights]
        self._rings = cuda.to_device(np.zeros((voices, int(weights.dilations.sum()), residual), np.float32))
        self._last = cuda.to_device(np.full(voices, parts.silence, np.float32))
        self._biases = cuda.to_device(np.zeros((voices, layers, 2 * residual), np.float32))
        self._width = width
        self._now = 0

    def generate(self, conditions: Floats, uniforms: NDArray[np.float64], temperature: float, nucleus: float) -> Floats:
        """Draw a chunk of symbols in one launch."""
        no_symbols = np.zeros((len(uniforms), 0), np.float32)
        return self._run(conditions, no_symbols, uniforms, temperature, nucleus)[0]

    def predict(self, conditions: Floats, given: Floats) -> Floats:
        """Predict the next symbol after each of a chunk in one launch."""
        return self._run(conditions, given, np.zeros((*given.shape, 1)), 1.0, 1.0)[1]

    def _run(
        self, conditions: Floats, given: Floats, uniforms: NDArray[np.float64], temperature: float, nucleus: float
    ) -> tuple[Floats, Floats]:
        voices, samples = uniforms.shape[:2]
        drawn = cuda.to_device(np.zeros((voices, samples), np.float32))
        predicted = cuda.to_device(np.zeros((*given.shape, self._width), np.float32))
        _generate[voices, self._threads](
            *self._weights,
            self._rings,
            self._last,
            self._biases,
            self._now,
            cuda.to_device(np.ascontiguousarray(conditions)),
            cuda.to_device(given),
            cuda.to_device(uniforms),
            float(temperature),
            float(nucleus),
            drawn,
            predicted,
        )
        self._now += samples
        return drawn.copy_to_host(), predicted.copy_to_host()


def _device(function: Callable[..., Any]) -> Callable[..., Any]:
    return cast("Callable[..., Any]", cuda.jit(device=True)(function))


def _kernel(function: Callable[..., Any]) -> Any:
    return cuda.jit(function)


@_device
def _product(x: Any, w: Any, layer: int, o: int) -> Any:
    """Return output `o` of `x @ w[layer]`."""
    total = np.float32(0)
    for i in range(w.shape[1]):
        total += x[i] * w[layer, i, o]
    return total


@_device
def _enter(entry: Any, symbol: float, sums: Any, wide: int, i: int) -> None:
    """Set the residual path to the symbol's entry, and the skip paths' sum to zero."""
    residual = entry.shape[1]
    if i < residual:
        if entry.shape[0] == 2:
            sums[i] = entry[0, i] * symbol + entry[1, i]
        else:
            sums[i] = entry[int(symbol), i]
    elif i < wide:
        sums[i] = np.float32(0)
    cuda.syncthreads()


@_device
def _layer(
    layer: int,
    older: Any,
    newer: Any,
    bias: Any,
    exits: Any,
    exit_bias: Any,
    past: Any,
    sums: Any,
    gates: Any,
    gated: Any,
    i: int,
) -> None:
    """Pass the residual path and the sum of the skip paths through a layer."""
    residual, wide = exits.shape[1], exits.shape[2]
    if i < 2 * residual:
        gates[i] = bias[layer, i] + _product(past, older, layer, i) + _product(sums, newer, layer, i)
    cuda.syncthreads()
    if i < residual:
        past[i] = sums[i]
        gated[i] = math.tanh(gates[i]) / (np.float32(1) + math.exp(-gates[residual + i]))
    cuda.syncthreads()
    if i < wide:
        sums[i] += exit_bias[layer, i] + _product(gated, exits, layer, i)
    cuda.syncthreads()


@_device
def _predict(
    sums: Any,
    residual: int,
    hidden: Any,
    hidden_bias: Any,
    output: Any,
    output_bias: Any,
    skips: Any,
    gates: Any,
    logits: Any,
    i: int,
) -> None:
    """Compute the prediction from the sum of the skip paths."""
    if i < hidden.shape[1]:
        skips[i] = max(sums[residual + i], np.float32(0))
    cuda.syncthreads()
    if i < hidden.shape[1]:
        gates[i] = max(hidden_bias[i] + _product(skips, hidden, 0, i), np.float32(0))
    cuda.syncthreads()
    if i < output.shape[2]:
        logits[i] = output_bias[i] + _product(gates, output, 0, i)
    cuda.syncthreads()


@_device
def _weight(logits: Any, n: int, temperature: float, i: int) -> float:
    """Return the weight of logit `i` among `n`, the largest 1; at temperature 0 only the first largest counts."""
    best = 0
    for j in range(n):
        if logits[j] > logits[best]:
            best = j
    if temperature <= 0:
        return 1.0 if i == best else 0.0
    return math.exp((float(logits[i]) - float(logits[best])) / temperature)


@_device
def _is_kept(mass: Any, n: int, i: int, nucleus: float) -> bool:
    """Return whether `i` is in the nucleus: the mass of what is likelier, or as likely and before it, is below it."""
    total, before = 0.0, 0.0
    for j in range(n):
        total += mass[j]
        if mass[j] > mass[i] or (mass[j] == mass[i] and j < i):
            before += mass[j]
    return nucleus >= 1 or before < nucleus * total


@_device
def _is_passed(mass: Any, n: int, i: int, uniform: float) -> bool:
    """Return whether the probability of all up to `i` is at most the uniform number."""
    total, reached = 0.0, 0.0
    for j in range(n):
        total += mass[j]
        if j <= i:
            reached += mass[j]
    return reached <= uniform * total


@_device
def _choose(
    logits: Any, n: int, uniform: float, temperature: float, nucleus: float, mass: Any, kept: Any, i: int
) -> Any:
    """Choose one of the first `n` by their logits; all threads return the same."""
    if i < n:
        mass[i] = _weight(logits, n, temperature, i)
    cuda.syncthreads()
    if i < n:
        kept[i] = mass[i] if _is_kept(mass, n, i, nucleus) else 0.0
    cuda.syncthreads()
    passed = i < n and _is_passed(kept, n, i, uniform)
    return min(cuda.syncthreads_count(passed), n - 1)


@_device
def _placed(logits: Any, n: int, chosen: int, place: float, temperature: float) -> Any:
    """Return the quantile `place`, 0 to 1, of logistic `chosen` of `n`."""
    place = min(max(place, 1e-5), 1 - 1e-5)
    spread = math.exp(max(float(logits[2 * n + chosen]), _LEAST_LOG_SCALE)) * temperature
    return min(max(logits[n + chosen] + spread * (math.log(place) - math.log1p(-place)), -1.0), 1.0)


@_kernel
def _generate(
    entry: Any,
    older: Any,
    newer: Any,
    gate_bias: Any,
    condition: Any,
    exits: Any,
    exit_bias: Any,
    hidden: Any,
    hidden_bias: Any,
    output: Any,
    output_bias: Any,
    dilations: Any,
    starts: Any,
    rings: Any,
    last: Any,
    biases: Any,
    now: int,
    conditions: Any,
    given: Any,
    uniforms: Any,
    temperature: float,
    nucleus: float,
    drawn: Any,
    predicted: Any,
) -> None:
    """Run the block's voice through a chunk: draw symbols, or predict the next after each of those `given`."""
    sums = cuda.shared.array(_WIDEST, np.float32)
    gates = cuda.shared.array(_WIDEST, np.float32)
    gated = cuda.shared.array(_WIDEST, np.float32)
    logits = cuda.shared.array(_WIDEST, np.float32)
    mass = cuda.shared.array(_WIDEST, np.float64)
    kept = cuda.shared.array(_WIDEST, np.float64)
    v, i = cuda.blockIdx.x, cuda.threadIdx.x
    layers, residual, wide = exits.shape
    width, mixture = output.shape[2], entry.shape[0] == 2
    samples = drawn.shape[1]
    hold = samples // conditions.shape[1]
    symbol = last[v]
    for t in range(samples):
        if t % hold == 0 and i < 2 * residual:
            for layer in range(layers):
                biases[v, layer, i] = gate_bias[layer, i] + _product(conditions[v, t // hold], condition, layer, i)
        if given.shape[1]:
            symbol = given[v, t]
        _enter(entry, symbol, sums, wide, i)
        for layer in range(layers):
            past = rings[v, starts[layer] + ((now + t) & (dilations[layer] - 1))]
            _layer(layer, older, newer, biases[v], exits, exit_bias, past, sums, gates, gated, i)
        _predict(sums, residual, hidden, hidden_bias, output, output_bias, gated, gates, logits, i)
        if given.shape[1]:
            if i < width:
                predicted[v, t, i] = logits[i]
        elif mixture:
            n = width // 3
            chosen = _choose(logits, n, uniforms[v, t, 0], max(temperature, 1e-3), nucleus, mass, kept, i)
            symbol = _placed(logits, n, chosen, uniforms[v, t, 1], temperature)
        else:
            symbol = _choose(logits, width, uniforms[v, t, 0], temperature, nucleus, mass, kept, i)
        if i == 0 and not given.shape[1]:
            drawn[v, t] = symbol
        cuda.syncthreads()
    if i == 0:
        last[v] = symbol
