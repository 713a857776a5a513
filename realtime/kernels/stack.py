"""A stack of convolutions as one kernel on one core: a block passes all layers in one call.

Between two blocks of live audio the weights leave the caches, and half of a block's time is then waiting for memory.
Here they lie in the order in which they are used and are read from end to end, as memory is read fastest, and what
works them is a few kilobytes of code.

Frames are rows, `(frames, channels)`. A layer keeps its inputs, past ones first. A transposed convolution gives several
frames as one wide row, and a strided one takes several as one, which needs no work.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from gramophone.models.layers.composition import Delay, Residual, Sequential
from gramophone.models.layers.convolution import CausalConv1d, StridedConv1d, TransposedConv1d
from gramophone.models.layers.streaming import Pointwise, Streaming
from gramophone.models.nets.decoder import CausalDecoder
from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit, tanh
from gramophone.realtime.kernels.matvec import add_products_from_memory

_F = np.float32
_TILE = 64
"""Outputs whose weights lie side by side: a row of them is four vectors."""
_ALIGNED = 16
"""Floats of a cache line: all that is kept begins at one."""
_UNCHANGED = 1.0


class UnknownLayerError(ValueError):
    """A module is no stack of layers that the kernel knows; the message names the one that it does not."""


class _Layer(NamedTuple):
    """A convolution: where its things lie, in floats, and its sizes.

    In memory: `source`, the rows that enter, `frames` of `inputs` values; `past`, the same after the leaky rectifier,
    `kept` past rows first; `output`, rows of `outputs` values, to which the result is added where `adds` is 1. Among
    the weights: `slope` of the rectifier, `bias`, and `weights`, tile by tile, each `(taps, inputs, _TILE or less)`.
    """

    source: int
    past: int
    kept: int
    frames: int
    inputs: int
    output: int
    outputs: int
    taps: int
    dilation: int
    slope: int
    bias: int
    weights: int
    adds: int


class Stack:
    """A module and its state, for blocks of `frames` frames of `channels` channels, from silence.

    Raises:
        UnknownLayerError: it holds something else than causal, strided and transposed convolutions, in residual units
            or not, each after a leaky rectifier or none, and a hyperbolic tangent, at the end at most.
    """

    def __init__(self, module: Streaming, channels: int, frames: int) -> None:
        plan = _Plan(channels, frames)
        plan.add(module)
        output, self._shape, is_tanh = plan.finish()
        layers = np.array(plan.layers, np.int64).reshape(len(plan.layers), len(_Layer._fields))
        weights, self._memory = zeros(plan.weights), zeros(plan.memory)
        for start, values in plan.parts:
            weights[start : start + len(values)] = values
        rows, width = self._shape
        self._found = self._memory[output : output + rows * width]
        self._run = bind(_run, (layers, weights, self._memory))
        self._bend = bind(_bend, (self._found,)) if is_tanh else None
        self._inputs = frames, channels

    def reset(self) -> None:
        """Return to silence."""
        self._memory[:] = 0

    def process(self, block: Floats) -> Floats:
        """Return the output for the next block, both a batch of one, `(1, channels, frames)`."""
        frames, channels = self._inputs
        self._memory[: frames * channels].reshape(frames, channels)[...] = block[0].T
        self._run()
        if self._bend:
            self._bend()
        return np.array(self._found.reshape(1, *self._shape).transpose(0, 2, 1), order="C")


class _Plan:
    """What is to be computed, layer by layer, and where all of it lies."""

    def __init__(self, channels: int, frames: int) -> None:
        self.layers: list[_Layer] = []
        self.parts: list[tuple[int, Floats]] = []
        self.weights = self.memory = 0
        self._channels, self._frames = channels, frames
        self._now = self._room(frames * channels)
        self._slope, self._is_tanh = _UNCHANGED, False

    def add(self, module: nn.Module) -> None:
        """Add a module to the end.

        Raises:
            UnknownLayerError: it is none that the kernel knows.
        """
        if self._is_tanh:
            raise UnknownLayerError("something after a hyperbolic tangent")
        if isinstance(module, Residual):
            self._add_residual(module)
        elif isinstance(module, Sequential):
            for layer in module.layers:
                self.add(layer)
        elif isinstance(module, CausalDecoder):
            self.add(module.layers)
        elif isinstance(module, CausalConv1d | StridedConv1d | TransposedConv1d):
            self._add_convolution(module)
        elif isinstance(module, Pointwise) and self._slope == _UNCHANGED:
            self._add_activation(module.module)
        else:
            raise UnknownLayerError(f"{type(module).__name__}: no layer that the kernel knows")

    def finish(self) -> tuple[int, tuple[int, int], bool]:
        """Return where the output lies, its frames and channels, and whether a hyperbolic tangent is due.

        Raises:
            UnknownLayerError: there is no convolution, or a rectifier after the last.
        """
        if self._slope != _UNCHANGED or not self.layers:
            raise UnknownLayerError("no convolution at the end")
        return self._now, (self._frames, self._channels), self._is_tanh

    def _add_activation(self, module: nn.Module) -> None:
        if isinstance(module, nn.LeakyReLU):
            self._slope = module.negative_slope
        elif isinstance(module, nn.ReLU):
            self._slope = 0.0
        elif isinstance(module, nn.Tanh):
            self._is_tanh = True
        else:
            raise UnknownLayerError(f"{type(module).__name__}: no activation that the kernel knows")

    def _add_residual(self, module: Residual) -> None:
        same, body = module.layers
        if self._slope != _UNCHANGED or not isinstance(same, Delay) or same.delay:
            raise UnknownLayerError("a residual unit with a delay, or after an activation")
        path, shape, first = self._now, (self._frames, self._channels), len(self.layers)
        self.add(body)
        ends = len(self.layers) > first and self._slope == _UNCHANGED and not self._is_tanh
        if not ends or self.layers[-1].adds or (self._frames, self._channels) != shape:
            raise UnknownLayerError("a residual unit that does not end with a convolution of its width")
        self.layers[-1] = self.layers[-1]._replace(output=path, adds=1)
        self._now = path

    def _add_convolution(self, module: CausalConv1d | StridedConv1d | TransposedConv1d) -> None:
        taps, inputs, outputs = module.weight.shape
        up = getattr(module, "up", 1)
        frames = self._frames * self._channels // inputs
        bias, weight = (tensor.detach().float().cpu() for tensor in (module.bias.repeat(up), module.weight))
        layer = _Layer(
            source=self._now,
            past=self._room((module.past + frames) * inputs),
            kept=module.past,
            frames=frames,
            inputs=inputs,
            output=self._room(frames * outputs),
            outputs=outputs,
            taps=taps,
            dilation=module.dilation,
            slope=self._kept(np.array([self._slope], np.float32)),
            bias=self._kept(bias.numpy()),
            weights=self._kept(_by_tiles(weight.numpy())),
            adds=0,
        )
        self.layers.append(layer)
        self._slope, self._now = _UNCHANGED, layer.output
        self._frames, self._channels = frames * up, outputs // up

    def _room(self, size: int) -> int:
        start = self.memory
        self.memory += size + -size % _ALIGNED
        return start

    def _kept(self, values: Floats) -> int:
        start = self.weights
        self.parts.append((start, values))
        self.weights += len(values) + -len(values) % _ALIGNED
        return start


def _by_tiles(weight: Floats) -> Floats:
    """Return weights `(taps, inputs, outputs)` tile by tile, flat."""
    starts = range(0, weight.shape[2], _TILE)
    return np.concatenate([weight[:, :, start : start + _TILE].ravel() for start in starts])


_compiled = partial(jit, forceinline=False)


@_compiled
def _run(bound: Any) -> None:
    """Pass the block that lies at the start of `memory` through all layers, a row of `layers` (`_Layer`) each."""
    layers, weights, memory = contents(bound)
    for number in range(len(layers)):
        source, past, kept, frames, inputs, output, outputs, taps, dilation, slope, bias, at, adds = (
            layers[number, 0],
            layers[number, 1],
            layers[number, 2],
            layers[number, 3],
            layers[number, 4],
            layers[number, 5],
            layers[number, 6],
            layers[number, 7],
            layers[number, 8],
            layers[number, 9],
            layers[number, 10],
            layers[number, 11],
            layers[number, 12],
        )
        size = frames * inputs
        newest = past + kept * inputs
        _rectify(memory[source : source + size], weights[slope], memory[newest : newest + size])
        _begin(memory[output : output + frames * outputs], weights[bias : bias + outputs], adds)
        for start in range(0, outputs, _TILE):
            width = min(outputs - start, _TILE)
            for tap in range(taps):
                row = past + tap * dilation * inputs
                widths = (outputs, inputs)
                add_products_from_memory(
                    memory, output + start, memory, row, weights, at, inputs, width, widths, frames
                )
                at += inputs * width
        # Piece by piece, none longer than the way: so the pieces do not overlap.
        for start in range(0, kept * inputs, size):
            length, there = min(size, kept * inputs - start), past + start
            _copy(memory[there + size : there + size + length], memory[there : there + length])


@_compiled
def _rectify(x: Floats, slope: Any, y: Floats) -> None:
    for i in range(len(x)):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


@_compiled
def _begin(y: Floats, bias: Floats, adds: int) -> None:
    """Set rows to the bias, or add it to them."""
    outputs = len(bias)
    for row in range(len(y) // outputs):
        sums = y[row * outputs : (row + 1) * outputs]
        for i in range(outputs):
            sums[i] = bias[i] + (sums[i] if adds else _F(0))


@_compiled
def _copy(x: Floats, y: Floats) -> None:
    for i in range(len(x)):
        y[i] = x[i]


@_compiled
def _bend(bound: Any) -> None:
    """Replace values by their hyperbolic tangent."""
    (x,) = contents(bound)
    for i in range(len(x)):
        x[i] = tanh(x[i])
