"""A WaveNet capture as a stream: blocks of samples in, as many out, without delay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stages.nam.convolutions import activate, convolve, fill, gate
from gramophone.realtime.stages.nam.wavenet_config import ArrayShape, LayerArray, WaveNetConfig

_RUN = 256
"""Most samples that are computed at a time: the channels of a run stay in the first cache."""
_SPARE = 8 * _RUN
"""Samples after which a ring's history is moved back to its start."""
_PAGE = 1024
"""Floats after which addresses meet in the same set of the first cache: rows that far apart drive one another out."""


class _Work(NamedTuple):
    """Arrays that the kernel of an array works on.

    `past` `(layers * channels, history + spare)`: what entered each layer, layer after layer; `head_past`
    `(skip, head history + spare)`: what entered the head; `histories` `(2,)`: past samples that are needed of these
    two, `places` `(2,)`: where the next samples go. Of the current run are `signal` `(channels, run)`, `middle`
    `(3 * bottleneck, run)`, `residual` and `skips`. `table` `(layers, 5)`: taps, dilation, activation, gating and
    second activation; `numbers` `(layers, 2, 4)`: those of the activations.
    """

    past: Floats
    head_past: Floats
    histories: NDArray[np.int64]
    places: NDArray[np.int64]
    signal: Floats
    middle: Floats
    residual: Floats
    skips: Floats
    table: NDArray[np.int64]
    numbers: Floats


class WaveNetPlayer:
    """One channel through a WaveNet capture; it begins in the state that endless silence leaves.

    `weights` are the file's.
    """

    def __init__(self, config: WaveNetConfig, weights: Floats) -> None:
        self._weights = weights
        self._arrays = [_work(array) for array in config.arrays]
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
            output[start : start + len(run)] = self._run(run)
        return output

    def _run(self, run: Floats) -> Floats:
        samples = len(run)
        self._inputs[0, :samples] = run
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
                self._inputs,
                head,
                number > 0,
                output,
            )
            signal, head = work.signal, output
        gain = self._weights[-1]
        if not self._head:
            played: Floats = gain * head[0, :samples]
            return played
        return self._through_head(gain * head[:, :samples])

    def _through_head(self, values: Floats) -> Floats:
        """Return the output of the layers behind the last array, `(samples,)`; `values` `(channels, samples)`."""
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
        last: Floats = values[0]
        return last


def _work(array: LayerArray) -> _Work:
    shape, layers = array.shape, array.layers
    history, head_history = array.history, shape.head_kernel - 1
    table = [[each.kernel, each.dilation, each.activation.kind, each.gating, each.second.kind] for each in layers]
    numbers = [[each.activation.numbers, each.second.numbers] for each in layers]
    return _Work(
        past=_ring(len(layers) * shape.channels, history),
        head_past=_ring(array.skip, head_history),
        histories=np.array([history, head_history], np.int64),
        places=np.array([history, head_history], np.int64),
        signal=zeros(shape.channels, _RUN),
        middle=zeros(3 * shape.bottleneck, _RUN),
        residual=zeros(shape.channels, _RUN),
        skips=zeros(array.skip, _RUN),
        table=np.array(table, np.int64),
        numbers=np.array(numbers, np.float32),
    )


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
    condition: Floats,
    head: Floats,
    has_head: bool,
    output: Floats,
) -> None:
    """Pass a run through all layers of an array: `work.signal` and `output` are then what comes out.

    `source` `(inputs, run)`, `condition` `(1, run)`; `head` `(skip, run)` is what the array before gives to the head.
    """
    layers, skip = len(work.table), len(work.skips)
    work.signal[:] = 0
    offset = convolve(work.signal, shape.channels, samples, source, 0, 0, shape.inputs, weights, offset, 1, 1, 1)
    for row in range(skip):
        for t in range(samples):
            work.skips[row, t] = head[row, t] if has_head else np.float32(0)
    work.places[0] = _make_room(work.past, work.histories[0], work.places[0], samples)
    for layer in range(layers):
        offset = _run_layer(shape, work, weights, offset, layer, samples, condition)
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
def _run_layer(
    shape: ArrayShape, work: _Work, weights: Floats, offset: int, layer: int, samples: int, condition: Floats
) -> int:
    """Pass a run through one layer and return the offset behind its weights."""
    channels, bottleneck = shape.channels, shape.bottleneck
    taps, dilation, kind, gating, second = work.table[layer]
    middle = 2 * bottleneck if gating else bottleneck
    row, place = layer * channels, work.places[0]
    for i in range(channels):
        for t in range(samples):
            work.past[row + i, place + t] = work.signal[i, t]
    behind = offset + middle * (channels // shape.conv_groups) * taps
    fill(work.middle, middle, samples, weights, behind)
    groups = shape.conv_groups
    convolve(work.middle, middle, samples, work.past, row, place, channels, weights, offset, taps, dilation, groups)
    offset = convolve(
        work.middle, middle, samples, condition, 0, 0, 1, weights, behind + middle, 1, 1, shape.mix_groups
    )
    if gating:
        gate(
            work.middle,
            bottleneck,
            samples,
            gating == 2,
            work.numbers[layer, 0],
            (kind, second),
            work.numbers[layer, 1],
        )
    else:
        activate(work.middle, 0, bottleneck, samples, kind, work.numbers[layer, 0])
    offset = _add_residual(shape, work, weights, offset, samples)
    end: int = _add_skip(shape, work, weights, offset, samples)
    return end


@jit
def _add_residual(shape: ArrayShape, work: _Work, weights: Floats, offset: int, samples: int) -> int:
    channels, bottleneck, groups = shape.channels, shape.bottleneck, shape.layer1x1_groups
    source = work.middle
    if groups:
        behind = offset + channels * (bottleneck // groups)
        fill(work.residual, channels, samples, weights, behind)
        convolve(work.residual, channels, samples, work.middle, 0, 0, bottleneck, weights, offset, 1, 1, groups)
        source, offset = work.residual, behind + channels
    for i in range(channels):
        for t in range(samples):
            work.signal[i, t] += source[i, t]
    return offset


@jit
def _add_skip(shape: ArrayShape, work: _Work, weights: Floats, offset: int, samples: int) -> int:
    outputs, bottleneck, groups = shape.head1x1, shape.bottleneck, shape.head1x1_groups
    if not outputs:
        for i in range(bottleneck):
            for t in range(samples):
                work.skips[i, t] += work.middle[i, t]
        return offset
    behind = offset + outputs * (bottleneck // groups)
    for o in range(outputs):
        for t in range(samples):
            work.skips[o, t] += weights[behind + o]
    convolve(work.skips, outputs, samples, work.middle, 0, 0, bottleneck, weights, offset, 1, 1, groups)
    return behind + outputs


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
