"""The CPU kernel: a chunk of samples a call, for several voices.

Voices take turns within a layer, while its weights are in the cache. Weights are indexed by loop variables only, and
nothing is sliced, or the compiler would guard every row of weights. Sums are never reordered (of fast maths only
`contract`: fused multiply-adds), so a sample does not depend on its chunk. All are functions of the module, as numba
caches nothing else.

The CPU engine: the numba kernel and its state.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit, tanh
from gramophone.realtime.kernels.matvec import add_product, add_products
from gramophone.realtime.stages.wavenet.engines import Model, SamplerEngine, WaveNetParts, WaveNetWeights, parts_of


class CpuEngine(SamplerEngine):
    """Samples voices on one core, without the interpreter lock."""

    def __init__(self, model: Model, voices: int) -> None:
        parts = model if isinstance(model, WaveNetParts) else parts_of(model)
        weights, state = parts.weights, state_of(parts.weights, voices, parts.silence)
        self._width, self._now = len(weights.output_bias), 0
        rows, uniforms, predicted = state.sums, np.zeros((voices, 0, 1)), np.zeros((voices, 0, 0), np.float32)
        examples = 0, rows, rows, uniforms, 1.0, 1.0, rows, predicted
        self._kernel = bind(generate, (weights, state), *examples)

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
        predicted = np.empty((*given.shape, self._width), np.float32)
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
        self._kernel(self._now, rows, given, uniforms, float(temperature), float(nucleus), drawn, predicted)


Doubles = NDArray[np.float64]
Shares = NDArray[np.int32]
_BLOCK = 16
"""Levels whose probabilities are summed at a time."""
_RUN = 16
"""Samples for which the older taps of a layer are summed together, at most."""
_WHOLE = 2**22
"""The largest share where shares are integers: 256 of them still fit 31 bits."""
_F = np.float32
_LOG2_E, _LN_2_HIGH, _LN_2_LOW = _F(1.44269504), _F(0.693359375), _F(-2.12194440e-4)
_ROUND = _F(1.5 * 2**23)
"""Adding and subtracting it rounds to the nearest integer."""
_LEAST_EXPONENT = _F(-87.0)
_LEAST_LOG_SCALE = -9.0


class KernelState(NamedTuple):
    """State of the voices, and work space; arrays aligned as in `WaveNetWeights`.

    `rings` `(V * N, R)`: past of each layer of each voice; `last` `(V,)`: the last symbols; `biases` `(V * L, 2R)`: the
    gates' biases in the current frame; `gates` `(V * L * _RUN, 2R)`: the gates' sums for the samples of a run; `sums`
    `(V, R + S)`: the residual path and the sum of the skip paths.
    """

    rings: Floats
    last: Floats
    biases: Floats
    gates: Floats
    sums: Floats
    both: Floats
    gated: Floats
    skips: Floats
    hidden: Floats
    predicted: Floats
    mass: Floats
    shares: Shares
    totals: Doubles


def state_of(weights: WaveNetWeights, voices: int, silence: float) -> KernelState:
    """Return the state of silence, for so many voices; `silence` is the symbol of silence."""
    layers, residual, exits = weights.exits.shape
    skip, width = exits - residual, len(weights.output_bias)
    return KernelState(
        rings=zeros(voices * int(weights.dilations.sum()), residual),
        last=np.full(voices, silence, np.float32),
        biases=zeros(voices * layers, 2 * residual),
        gates=zeros(voices * layers * _RUN, 2 * residual),
        sums=zeros(voices, exits),
        both=zeros(1, 2 * residual),
        gated=zeros(1, residual),
        skips=zeros(1, skip),
        hidden=zeros(1, skip),
        predicted=zeros(1, width),
        mass=zeros(width),
        shares=zeros(width).view(np.int32),
        totals=np.zeros(-(-width // _BLOCK)),
    )


@jit
def _condition(weights: WaveNetWeights, state: KernelState, conditions: Floats, first: int, step: int) -> None:
    """Compute the gates' biases for a frame; voice `v`'s conditions are `conditions[first + v * step]`."""
    layers, width = weights.gate_bias.shape
    for layer in range(layers):
        for v in range(len(state.last)):
            row = v * layers + layer
            for i in range(width):
                state.biases[row, i] = weights.gate_bias[layer, i]
            add_product(state.biases, row, conditions, first + v * step, weights.condition, layer)


@jit
def _enter(weights: WaveNetWeights, state: KernelState, v: int) -> None:
    """Set the residual path to the last symbol's entry, and the sum of the skip paths to zero."""
    residual = weights.entry.shape[1]
    symbol = state.last[v]
    for i in range(residual):
        if len(weights.entry) == 2:
            state.sums[v, i] = weights.entry[0, i] * symbol + weights.entry[1, i]
        else:
            state.sums[v, i] = weights.entry[int(symbol), i]
    for i in range(residual, state.sums.shape[1]):
        state.sums[v, i] = _F(0)


@jit
def _add_older(weights: WaveNetWeights, state: KernelState, layer: int, now: int, samples: int) -> None:
    """Set a layer's rows of `gates` to its biases and what its older tap adds in the next `samples` samples.

    They may be as many as the dilation: that old is what the tap reads.
    """
    layers, residual = len(weights.exits), weights.exits.shape[1]
    past, dilation = len(state.rings) // len(state.last), weights.dilations[layer]
    slot = now & (dilation - 1)
    first = min(samples, dilation - slot)
    for v in range(len(state.last)):
        start, row = v * past + weights.starts[layer], (v * layers + layer) * _RUN
        for j in range(samples):
            for i in range(2 * residual):
                state.gates[row + j, i] = state.biases[v * layers + layer, i]
        add_products(state.gates, row, state.rings, start + slot, weights.older, layer, first)
        add_products(state.gates, row + first, state.rings, start, weights.older, layer, samples - first)


@jit
def _advance(weights: WaveNetWeights, state: KernelState, now: int, done: int, left: int) -> None:
    """Pass the voices' last symbols through all layers, into `state.sums`.

    `done` samples of the frame have been drawn, and `left` are to be drawn, this one among them.
    """
    layers, residual, exits = weights.exits.shape
    voices = len(state.last)
    past = len(state.rings) // voices
    for v in range(voices):
        _enter(weights, state, v)
    for layer in range(layers):
        dilation = weights.dilations[layer]
        run, slot = min(dilation, _RUN), weights.starts[layer] + (now & (dilation - 1))
        if done & (run - 1) == 0:
            _add_older(weights, state, layer, now, min(run, left))
        for v in range(voices):
            row = (v * layers + layer) * _RUN + (done & (run - 1))
            add_product(state.gates, row, state.sums, v, weights.newer, layer)
            for i in range(residual):
                state.rings[v * past + slot, i] = state.sums[v, i]
            for i in range(residual):
                sigmoid = _F(0.5) + _F(0.5) * tanh(_F(0.5) * state.gates[row, residual + i])
                state.gated[0, i] = tanh(state.gates[row, i]) * sigmoid
            for i in range(exits):
                state.sums[v, i] += weights.exit_bias[layer, i]
            add_product(state.sums, v, state.gated, 0, weights.exits, layer)


@jit
def predict(weights: WaveNetWeights, state: KernelState, v: int) -> None:
    """Compute a voice's prediction from its sum of the skip paths, into `state.predicted`."""
    residual = weights.exits.shape[1]
    for i in range(state.skips.shape[1]):
        state.skips[0, i] = max(state.sums[v, residual + i], _F(0))
        state.hidden[0, i] = weights.hidden_bias[i]
    add_product(state.hidden, 0, state.skips, 0, weights.hidden, 0)
    for i in range(state.hidden.shape[1]):
        state.hidden[0, i] = max(state.hidden[0, i], _F(0))
    for i in range(state.predicted.shape[1]):
        state.predicted[0, i] = weights.output_bias[i]
    add_product(state.predicted, 0, state.hidden, 0, weights.output, 0)


@jit
def exponentiate(state: KernelState, n: int, largest: Any, inverse: Any) -> None:
    """Put exp((logit - largest) * inverse) of the first `n` logits into `state.mass`; none may exceed `largest`.

    exp(x) is 2 ** k exp(r), r within ln 2 / 2 of zero, with Taylor's series of exp(r) up to r ** 6 / 720: within 2e-7.
    """
    for i in range(n):
        x = max((state.predicted[0, i] - largest) * inverse, _LEAST_EXPONENT)
        k = (x * _LOG2_E + _ROUND) - _ROUND
        r = (x - k * _LN_2_HIGH) - k * _LN_2_LOW
        p = r * _F(1 / 720) + _F(1 / 120)
        p = p * r + _F(1 / 24)
        p = p * r + _F(1 / 6)
        p = p * r + _F(0.5)
        p = p * r + _F(1)
        state.mass[i] = p * r + _F(1)
        state.shares[i] = (np.int32(k) + np.int32(127)) << np.int32(23)
    powers = state.shares.view(np.float32)
    for i in range(n):
        state.mass[i] *= powers[i]


@jit
def _soften(state: KernelState, n: int, temperature: float) -> None:
    """Put exp((logit - the largest) / temperature) of the first `n` logits into `state.mass`."""
    largest = state.predicted[0, 0]
    for i in range(n):
        largest = max(largest, state.predicted[0, i])
    exponentiate(state, n, largest, _F(1 / temperature))


@jit
def _above(shares: Shares, n: int, least: int) -> Any:
    total: Any = 0
    for i in range(n):
        total += shares[i] if shares[i] > least else np.int32(0)
    return total


@jit
def _keep_likeliest(mass: Floats, shares: Shares, n: int, nucleus: float) -> None:
    """Keep in `mass` the likeliest, which together reach `nucleus`, and zero the rest; of equals the first are kept.

    The smallest share that is kept is found by bisection, on integers: their sums can be vector instructions.
    """
    for i in range(n):
        shares[i] = np.int32(mass[i] * _F(_WHOLE))
    enough = nucleus * _above(shares, n, 0)
    low, high = 0, _WHOLE  # all that is above `high` is less than enough
    while low < high:
        middle = (low + high) // 2
        if _above(shares, n, middle) < enough:
            high = middle
        else:
            low = middle + 1
    reached = _above(shares, n, high)
    for i in range(n):
        if shares[i] == high and reached < enough:
            reached += high
        elif shares[i] <= high:
            mass[i] = _F(0)


@jit
def _total(mass: Floats, start: int, stop: int) -> float:
    total = 0.0
    for i in range(start, stop):
        total += mass[i]
    return total


@jit
def _choose(state: KernelState, n: int, uniform: float, temperature: float, nucleus: float) -> int:
    """Choose one of the first `n` by their logits: the first whose cumulative probability exceeds `uniform`."""
    _soften(state, n, temperature)
    if nucleus < 1:
        _keep_likeliest(state.mass, state.shares, n, nucleus)
    total = 0.0
    for start in range(0, n, _BLOCK):
        block = _total(state.mass, start, min(start + _BLOCK, n))
        state.totals[start // _BLOCK] = block
        total += block
    reached, start = 0.0, 0
    while start + _BLOCK < n:
        block = state.totals[start // _BLOCK]
        if reached + block > uniform * total:
            break
        reached += block
        start += _BLOCK
    for i in range(start, n):
        reached += state.mass[i]
        if reached > uniform * total:
            return i
    return n - 1


@jit
def _draw_level(state: KernelState, uniform: float, temperature: float, nucleus: float) -> Any:
    """Draw from the predicted categorical distribution; `Categorical.draw` is the slower reference."""
    if temperature <= 0:
        return int(np.argmax(state.predicted))
    return _choose(state, state.predicted.shape[1], uniform, temperature, nucleus)


@jit
def _draw_logistic(state: KernelState, uniform: float, place: float, temperature: float, nucleus: float) -> Any:
    """Draw from the predicted mixture of logistics; `Logistics.draw` is the slower reference."""
    n = state.predicted.shape[1] // 3
    chosen = _choose(state, n, uniform, max(temperature, 1e-3), nucleus)
    place = min(max(place, 1e-5), 1 - 1e-5)
    log_scale = max(float(state.predicted[0, 2 * n + chosen]), _LEAST_LOG_SCALE)
    spread = math.exp(log_scale) * temperature
    sample = state.predicted[0, n + chosen] + spread * (math.log(place) - math.log1p(-place))
    return min(max(sample, -1.0), 1.0)


@jit
def generate(
    bound: Any,
    now: int,
    conditions: Floats,
    given: Floats,
    uniforms: Doubles,
    temperature: float,
    nucleus: float,
    drawn: Floats,
    predicted: Floats,
) -> None:
    """Draw the next symbols into `drawn` `(V, T)`, or predict the next after each of those `given` `(V, T)`.

    `now` is the number of symbols before; `conditions` `(V * n, C)`, voice after voice, with `T` a multiple of `n`;
    `uniforms` `(V, T, 1)`, or `(V, T, 2)` for logistics, random numbers from 0 to 1; `predicted` `(V, T, W)`. Arrays
    that are not used have a `T` of 0. It is bound to weights and state.
    """
    weights, state = contents(bound)
    voices, forced = len(state.last), given.shape[1] > 0
    samples = given.shape[1] if forced else drawn.shape[1]
    frames = len(conditions) // voices
    length = samples // frames
    for t in range(samples):
        if t % length == 0:
            _condition(weights, state, conditions, t // length, frames)
        if forced:
            for v in range(voices):
                state.last[v] = given[v, t]
        _advance(weights, state, now + t, t % length, length - t % length)
        for v in range(voices):
            predict(weights, state, v)
            if forced:
                for i in range(predicted.shape[2]):  # numba takes 2 s to compile an assignment of arrays
                    predicted[v, t, i] = state.predicted[0, i]
                continue
            if uniforms.shape[2] == 1:
                drawn[v, t] = _draw_level(state, uniforms[v, t, 0], temperature, nucleus)
            else:
                drawn[v, t] = _draw_logistic(state, uniforms[v, t, 0], uniforms[v, t, 1], temperature, nucleus)
            state.last[v] = drawn[v, t]
