"""Compiled parts of a capture: convolutions and activations of a run of samples, vectorised over time.

Weights are read one by one in the order of the file, and each is applied to the whole run, so they need no repacking.
Sums are computed in one order whatever the run's length: a sample does not depend on how the sound was cut.
"""

from __future__ import annotations

from typing import Any

from numba import float32

from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.jit import jit, tanh
from gramophone.realtime.stages.nam.add_convolution import add_convolution

_ZERO, _HALF, _ONE = float32(0), float32(0.5), float32(1)


def _outlined(function: Any) -> Any:
    """Compile without inlining: these are called from many places, for whole runs."""
    return jit(function, forceinline=False)


@_outlined
def convolve(
    output: Floats,
    outputs: int,
    samples: int,
    source: Floats,
    row: int,
    column: int,
    inputs: int,
    weights: Floats,
    offset: int,
    taps: int,
    dilation: int,
    groups: int,
) -> int:
    """Add a causal convolution to the first `outputs` rows of `output` and return the offset behind its weights.

    Input channel `i` at the run's first sample is `source[row + i, column]`. Weights from `offset` on are
    `(outputs, inputs / groups, taps)`, the last tap for the newest sample.
    """
    width, height = inputs // groups, outputs // groups
    for o in range(outputs):
        first = row + o // height * width
        at = offset + o * width * taps
        add_convolution(output, o, samples, source, first, column, width, weights, at, taps, dilation)
    return offset + outputs * width * taps


@_outlined
def fill(output: Floats, outputs: int, samples: int, weights: Floats, offset: int) -> int:
    """Set rows of `output` to their biases, from `offset` on, and return the offset behind these."""
    for o in range(outputs):
        for t in range(samples):
            output[o, t] = weights[offset + o]
    return offset + outputs


@jit
def _sigmoid(x: Any) -> Any:
    return _HALF + _HALF * tanh(_HALF * x)


@_outlined
def activate(values: Floats, first: int, rows: int, samples: int, kind: int, numbers: Floats) -> None:
    """Apply an activation to rows `first` to `first + rows` of `values`.

    `kind` and `numbers` as in `Activation`, but with a slope for each row.
    """
    for row in range(rows):
        _activate_row(values, first + row, samples, kind, numbers, numbers[row] if kind in (3, 4) else _ZERO)


@jit
def _activate_row(values: Floats, row: int, samples: int, kind: int, numbers: Floats, slope: float) -> None:
    if kind == 0:  # Tanh
        for t in range(samples):
            values[row, t] = tanh(values[row, t])
    elif kind == 1:  # Sigmoid
        for t in range(samples):
            values[row, t] = _sigmoid(values[row, t])
    elif kind == 2:  # ReLU
        for t in range(samples):
            values[row, t] = max(values[row, t], _ZERO)
    elif kind in (3, 4):  # LeakyReLU, PReLU
        for t in range(samples):
            x = values[row, t]
            values[row, t] = max(x, _ZERO) + slope * min(x, _ZERO)
    elif kind in (5, 6):  # Hardtanh, LeakyHardtanh: slopes 0 and 0 with the first
        low, high = numbers[0], numbers[1]
        for t in range(samples):
            x = values[row, t]
            inside = min(max(x, low), high)
            values[row, t] = inside + numbers[2] * min(x - low, _ZERO) + numbers[3] * max(x - high, _ZERO)
    elif kind == 7:  # SiLU
        for t in range(samples):
            values[row, t] = values[row, t] * _sigmoid(values[row, t])
    elif kind == 8:  # Hardswish
        for t in range(samples):
            x = values[row, t]
            values[row, t] = x * min(max(x + float32(3), _ZERO), float32(6)) / float32(6)
    elif kind == 9:  # Softsign
        for t in range(samples):
            values[row, t] = values[row, t] / (_ONE + abs(values[row, t]))
    else:  # Softsigmoid
        for t in range(samples):
            values[row, t] = _HALF * (_ONE + values[row, t] / (_ONE + abs(values[row, t])))


@_outlined
def gate(values: Floats, rows: int, samples: int, blended: bool, first: Floats, kinds: Any, second: Floats) -> None:
    """Activate the first `rows` rows, and let the next `rows` act on them: as factors, or as shares of the activated.

    `kinds` is the numbers of the two activations, `first` and `second` what these need.
    """
    activate(values, rows, rows, samples, kinds[1], second)
    if blended:
        for row in range(rows):
            for t in range(samples):
                values[2 * rows + row, t] = values[row, t]
    activate(values, 0, rows, samples, kinds[0], first)
    for row in range(rows):
        for t in range(samples):
            # One product, one sum: of two products a compiler may fuse either with the sum, in a run's rest the other.
            plain = values[2 * rows + row, t] if blended else _ZERO
            values[row, t] = plain + values[rows + row, t] * (values[row, t] - plain)


@_outlined
def modulate(
    values: Floats,
    row: int,
    column: int,
    rows: int,
    samples: int,
    condition: Floats,
    weights: Floats,
    offset: int,
    factors: int,
    groups: int,
    made: Floats,
) -> None:
    """Multiply `rows` channels of `values`, from `[row, column]` on, by factors made from the condition.

    Where `factors` is 2, as many shifts are made too and added: feature-wise linear modulation (Perez et al. 2018).
    `condition` `(conditions, run)`; weights from `offset` on are `(factors * rows, conditions / groups)`, then the
    biases; `made` `(2 * rows or more, run)` is room for what they make.
    """
    outputs, conditions = factors * rows, len(condition)
    fill(made, outputs, samples, weights, offset + outputs * (conditions // groups))
    convolve(made, outputs, samples, condition, 0, 0, conditions, weights, offset, 1, 1, groups)
    for i in range(rows):
        for t in range(samples):
            values[row + i, column + t] *= made[i, t]
        if factors == 2:
            for t in range(samples):
                values[row + i, column + t] += made[rows + i, t]
