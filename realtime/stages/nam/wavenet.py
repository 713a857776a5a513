"""A WaveNet capture as a stream: blocks of samples in, as many out, without delay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stages.nam.convolutions import activate, convolve, fill, gate, modulate
from gramophone.realtime.stages.nam.wavenet_config import Activation, ArrayShape, Layer, LayerArray, WaveNetConfig

_RUN = 256
"""Most samples that are computed at a time: the channels of a run stay in the first cache."""
_SPARE = 8 * _RUN
"""Samples after which a ring's history is moved back to its start."""
(
    _CONV_PRE,
    _CONV_POST,
    _MIXIN_PRE,
    _MIXIN_POST,
    _ACTIVATION_PRE,
    _ACTIVATION_POST,
    _RESIDUAL,
    _SKIP,
) = range(8)
"""Places where a layer can be modulated, in the order of the weights."""
_PAGE = 1024
"""Floats after which addresses meet in the same set of the first cache: rows that far apart drive one another out."""


class _Work(NamedTuple):
    """Arrays that the kernel of an array works on.

    `past` `(layers * channels, history + spare)`: what entered each layer, layer after layer; `head_past`
    `(skip, head history + spare)`: what entered the head; `histories` `(2,)`: past samples that are needed of these
    two, `places` `(2,)`: where the next samples go. Of the current run are `condition` `(conditions, run)`, which all
    arrays share, `signal` `(channels, run)`, `middle` `(3 * bottleneck, run)`, `residual` and `skips`; `mixed`, `spare`
    and `made` are room for modulation. `starts` `(layers + 1,)`: where in the array's weights each layer's begin, and
    where the last ends; `table` `(layers, 5)`: taps, dilation, activation, gating and second activation; `numbers`
    `(layers, 2, channels or 4)`: those of the activations; `films` `(layers, 8, 3)`: where in the array's weights those
    of the modulation are, factors and groups.
    """

    past: Floats
    head_past: Floats
    histories: NDArray[np.int64]
    places: NDArray[np.int64]
    condition: Floats
    signal: Floats
    middle: Floats
    residual: Floats
    skips: Floats
    mixed: Floats
    spare: Floats
    made: Floats
    starts: NDArray[np.int64]
    table: NDArray[np.int64]
    numbers: Floats
    films: NDArray[np.int64]


class WaveNetPlayer:
    """One channel through a WaveNet capture; it begins in the state that endless silence leaves.

    `weights` are the file's. `condition` is a player, in its first state, whose output is the condition of the layers;
    without one that is the input.
    """

    def __init__(self, config: WaveNetConfig, weights: Floats, condition: WaveNetPlayer | None = None) -> None:
        self._weights = weights
        self._condition = condition
        self._conditions = zeros(config.conditions, _RUN)
        self._arrays = [_work(array, self._conditions) for array in config.arrays]
        self._shapes = [array.shape for array in config.arrays]
        self._offsets = np.cumsum([0, *(array.weights for array in config.arrays)])
        self._head = config.head
        self._head_pasts = [zeros(layer.inputs, layer.kernel - 1 + _RUN) for layer in config.head]
        self._head_buffers = [zeros(layer.outputs, _RUN) for layer in config.head]
        self._inputs = zeros(1, _RUN)
        self._outputs = [zeros(array.shape.head, _RUN) for array in config.arrays]
        silence, left = np.zeros(_RUN, np.float32), config.receptive_field - 1
        while left > 0:
            self.process(silence[:left])
            left -= _RUN

    def process(self, block: Floats) -> Floats:
        """Return the capture's sound for a block, `(frames,)` both."""
        output = np.empty(len(block), np.float32)
        for start in range(0, len(block), _RUN):
            run = block[start : start + _RUN]
            output[start : start + len(run)] = self._run(run)[0]
        return output

    def _run(self, run: Floats) -> Floats:
        """Return the output for a run of samples, `(outputs, samples)`."""
        samples = len(run)
        self._inputs[0, :samples] = run
        self._conditions[:, :samples] = self._condition._run(run) if self._condition else run
        signal, head = self._inputs, self._inputs
        for number, (shape, work) in enumerate(zip(self._shapes, self._arrays, strict=True)):
            output = self._outputs[number]
            _run_array(
                shape,
                work,
                self._weights,
                self._offsets[number],
                samples,
                signal,
                head,
                number > 0,
                output,
            )
            signal, head = work.signal, output
        gain = self._weights[-1]
        played: Floats = gain * head[:, :samples]
        return self._through_head(played) if self._head else played

    def _through_head(self, values: Floats) -> Floats:
        """Return the output of the layers behind the last array; it and `values` are `(channels, samples)`."""
        samples, offset = values.shape[1], int(self._offsets[-1])
        for layer, past, output in zip(self._head, self._head_pasts, self._head_buffers, strict=True):
            history = layer.kernel - 1
            past[:, history : history + samples] = values
            offset = _run_head(
                np.array(layer.activation.numbers, np.float32),
                layer.activation.kind,
                past,
                samples,
                output,
                self._weights,
                offset,
                layer.kernel,
            )
            past[:, :history] = past[:, samples : samples + history].copy()
            values = output[:, :samples]
        return values


def _work(array: LayerArray, condition: Floats) -> _Work:
    shape, layers = array.shape, array.layers
    history, head_history = array.history, shape.head_kernel - 1
    table = [[each.kernel, each.dilation, each.activation.kind, each.gating, each.second.kind] for each in layers]
    numbers = [[_numbers(each.activation, shape), _numbers(each.second, shape)] for each in layers]
    starts = np.cumsum([shape.inputs * shape.channels, *map(array.layer_weights, layers)])
    widest = max(width for each in layers for width in array.film_widths(each))
    return _Work(
        past=_ring(len(layers) * shape.channels, history),
        head_past=_ring(array.skip, head_history),
        histories=np.array([history, head_history], np.int64),
        places=np.array([history, head_history], np.int64),
        condition=condition,
        signal=zeros(shape.channels, _RUN),
        middle=zeros(3 * shape.bottleneck, _RUN),
        residual=zeros(shape.channels, _RUN),
        skips=zeros(array.skip, _RUN),
        mixed=zeros(shape.conditions, _RUN),
        spare=zeros(widest, _RUN),
        made=zeros(2 * widest, _RUN),
        starts=np.array(starts, np.int64),
        table=np.array(table, np.int64),
        numbers=np.array(numbers, np.float32),
        films=np.array([_films(array, each, start) for each, start in zip(layers, starts, strict=False)], np.int64),
    )


def _numbers(activation: Activation, shape: ArrayShape) -> NDArray[np.float64]:
    """Return what an activation needs: four numbers, or a slope for each channel, where one may stand for all."""
    return np.resize(np.array(activation.numbers), max(4, shape.bottleneck))


def _films(array: LayerArray, layer: Layer, start: int) -> list[list[int]]:
    """Return the rows of `_Work.films` for a layer whose weights begin at `start`."""
    ends = start + array.convolution_weights(layer) + np.cumsum([0, *array.film_weights(layer)])
    return [[int(at), film.factors, film.groups] for at, film in zip(ends, array.films, strict=False)]


def _ring(rows: int, history: int) -> Floats:
    """Return rows of at least `history` and `_SPARE` samples, a page and two cache lines apart."""
    return zeros(rows, (history + _SPARE) // _PAGE * _PAGE + _PAGE + 32)


@jit
def _make_room(past: Floats, history: int, place: int, samples: int) -> int:
    """Return where `samples` more fit behind `place` in a ring, after moving its history to the start if need be."""
    rows, length = past.shape
    if place + samples <= length:
        return place
    for row in range(rows):
        for t in range(history):
            past[row, t] = past[row, place - history + t]
    return history


@jit
def _run_array(
    shape: ArrayShape,
    work: _Work,
    weights: Floats,
    offset: int,
    samples: int,
    source: Floats,
    head: Floats,
    has_head: bool,
    output: Floats,
) -> None:
    """Pass a run through all layers of an array: `work.signal` and `output` are then what comes out.

    The array's weights begin at `offset`. `source` `(inputs, run)`; `head` `(skip, run)` is what the array before gives
    to the head.
    """
    layers, skip = len(work.table), len(work.skips)
    work.signal[:] = 0
    convolve(work.signal, shape.channels, samples, source, 0, 0, shape.inputs, weights, offset, 1, 1, 1)
    for row in range(skip):
        for t in range(samples):
            work.skips[row, t] = head[row, t] if has_head else np.float32(0)
    work.places[0] = _make_room(work.past, work.histories[0], work.places[0], samples)
    for layer in range(layers):
        _run_layer(shape, work, weights, offset, layer, samples)
    offset += work.starts[layers]
    work.places[0] += samples
    work.places[1] = _make_room(work.head_past, work.histories[1], work.places[1], samples)
    place = work.places[1]
    for row in range(skip):
        for t in range(samples):
            work.head_past[row, place + t] = work.skips[row, t]
    behind = offset + shape.head * skip * shape.head_kernel
    output[:] = 0
    if shape.head_bias:
        fill(output, shape.head, samples, weights, behind)
    convolve(output, shape.head, samples, work.head_past, 0, place, skip, weights, offset, shape.head_kernel, 1, 1)
    work.places[1] += samples


@jit
def _modulate(
    work: _Work,
    weights: Floats,
    first: int,
    layer: int,
    place: int,
    values: Floats,
    row: int,
    column: int,
    rows: int,
    samples: int,
) -> None:
    """Modulate `rows` channels of `values`, from `[row, column]` on, where the layer is modulated at that place."""
    at, factors, groups = work.films[layer, place]
    if factors:
        modulate(values, row, column, rows, samples, work.condition, weights, first + at, factors, groups, work.made)


@jit
def _run_layer(shape: ArrayShape, work: _Work, weights: Floats, first: int, layer: int, samples: int) -> None:
    """Pass a run through one layer of the array whose weights begin at `first`."""
    channels, bottleneck = shape.channels, shape.bottleneck
    taps, dilation, kind, gating, second = work.table[layer]
    middle = 2 * bottleneck if gating else bottleneck
    row, column = layer * channels, work.places[0]
    for i in range(channels):
        for t in range(samples):
            work.past[row + i, column + t] = work.signal[i, t]
    _modulate(work, weights, first, layer, _CONV_PRE, work.past, row, column, channels, samples)
    offset, groups = first + work.starts[layer], shape.conv_groups
    behind = offset + middle * (channels // groups) * taps
    fill(work.middle, middle, samples, weights, behind)
    convolve(work.middle, middle, samples, work.past, row, column, channels, weights, offset, taps, dilation, groups)
    _modulate(work, weights, first, layer, _CONV_POST, work.middle, 0, 0, middle, samples)
    offset = _add_condition(shape, work, weights, first, layer, behind + middle, middle, samples)
    _modulate(work, weights, first, layer, _ACTIVATION_PRE, work.middle, 0, 0, middle, samples)
    numbers = work.numbers[layer]
    if gating:
        gate(work.middle, bottleneck, samples, gating == 2, numbers[0], (kind, second), numbers[1])
    else:
        activate(work.middle, 0, bottleneck, samples, kind, numbers[0])
    _modulate(work, weights, first, layer, _ACTIVATION_POST, work.middle, 0, 0, bottleneck, samples)
    offset = _add_residual(shape, work, weights, first, layer, offset, samples)
    _add_skip(shape, work, weights, first, layer, offset, samples)


@jit
def _add_condition(
    shape: ArrayShape, work: _Work, weights: Floats, first: int, layer: int, offset: int, middle: int, samples: int
) -> int:
    """Add the convolution of the condition to `work.middle` and return the offset behind its weights."""
    conditions, groups = shape.conditions, shape.mix_groups
    source, target = work.condition, work.middle
    if work.films[layer, _MIXIN_PRE, 1]:
        source = work.mixed
        source[:] = work.condition
        _modulate(work, weights, first, layer, _MIXIN_PRE, source, 0, 0, conditions, samples)
    if work.films[layer, _MIXIN_POST, 1]:
        target = work.spare
        target[:] = 0
    end: int = convolve(target, middle, samples, source, 0, 0, conditions, weights, offset, 1, 1, groups)
    if work.films[layer, _MIXIN_POST, 1]:
        _modulate(work, weights, first, layer, _MIXIN_POST, target, 0, 0, middle, samples)
        _add(work.middle, target, middle, samples)
    return end


@jit
def _add_residual(
    shape: ArrayShape, work: _Work, weights: Floats, first: int, layer: int, offset: int, samples: int
) -> int:
    channels, bottleneck, groups = shape.channels, shape.bottleneck, shape.layer1x1_groups
    source = work.middle
    if groups:
        behind = offset + channels * (bottleneck // groups)
        fill(work.residual, channels, samples, weights, behind)
        convolve(work.residual, channels, samples, work.middle, 0, 0, bottleneck, weights, offset, 1, 1, groups)
        _modulate(work, weights, first, layer, _RESIDUAL, work.residual, 0, 0, channels, samples)
        source, offset = work.residual, behind + channels
    _add(work.signal, source, channels, samples)
    return offset


@jit
def _add_skip(
    shape: ArrayShape, work: _Work, weights: Floats, first: int, layer: int, offset: int, samples: int
) -> None:
    outputs, bottleneck, groups = shape.head1x1, shape.bottleneck, shape.head1x1_groups
    source = work.middle
    if outputs:
        source = work.spare
        fill(source, outputs, samples, weights, offset + outputs * (bottleneck // groups))
        convolve(source, outputs, samples, work.middle, 0, 0, bottleneck, weights, offset, 1, 1, groups)
        _modulate(work, weights, first, layer, _SKIP, source, 0, 0, outputs, samples)
    _add(work.skips, source, outputs or bottleneck, samples)


@jit
def _add(total: Floats, values: Floats, rows: int, samples: int) -> None:
    for i in range(rows):
        for t in range(samples):
            total[i, t] += values[i, t]


@jit
def _run_head(
    numbers: Floats,
    kind: int,
    past: Floats,
    samples: int,
    output: Floats,
    weights: Floats,
    offset: int,
    taps: int,
) -> int:
    """Activate the newest samples of `past`, convolve all of it, and return the offset behind the layer's weights."""
    inputs, outputs = len(past), len(output)
    for row in range(inputs):
        for t in range(samples):
            output[0, t] = past[row, taps - 1 + t]
        activate(output, 0, 1, samples, kind, numbers)
        for t in range(samples):
            past[row, taps - 1 + t] = output[0, t]
    behind = offset + outputs * inputs * taps
    fill(output, outputs, samples, weights, behind)
    convolve(output, outputs, samples, past, 0, taps - 1, inputs, weights, offset, taps, 1, 1)
    return behind + outputs
