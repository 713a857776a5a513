"""The shape of a WaveNet capture: stacks of dilated convolutions, and how many weights each takes.

Read are both forms of the file: that of version 0.5 (`head_size`, `kernel_size`, `gated`), and that of 0.6 and 0.7
(`head`, `kernel_sizes`, `gating_mode`, `bottleneck`, convolutions in groups).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from gramophone.realtime.stages.nam.fields import CaptureError, Fields, whole

_LONGEST = 2**20
"""Samples of the longest receptive field of a layer; a longer one is a broken file."""
_PLAIN, _GATED, _BLENDED = 0, 1, 2
_GATINGS = {"none": _PLAIN, "gated": _GATED, "blended": _BLENDED}
_ACTIVATIONS: dict[str, dict[str, float]] = {
    "Tanh": {},
    "Sigmoid": {},
    "ReLU": {},
    "LeakyReLU": {"negative_slope": 0.01},
    "PReLU": {"negative_slope": 0.25},
    "Hardtanh": {"min_val": -1.0, "max_val": 1.0},
    "LeakyHardtanh": {"min_val": -1.0, "max_val": 1.0, "min_slope": 0.01, "max_slope": 0.01},
    "SiLU": {},
    "Hardswish": {},
    "Softsign": {},
    "Softsigmoid": {},
}
"""Activations and the defaults of their numbers, as torch and the trainer have them."""
_KINDS = {name: number for number, name in enumerate(_ACTIVATIONS)}
_FILMS = ("conv", "input_mixin", "activation", "layer1x1", "head1x1")


class Activation(NamedTuple):
    """A function of each value: its number in `_ACTIVATIONS`, and up to four numbers that it needs."""

    kind: int
    numbers: tuple[float, float, float, float]


class Layer(NamedTuple):
    """One dilated convolution with its activation; `gating`: how a second half of the channels acts on the first."""

    kernel: int
    dilation: int
    activation: Activation
    gating: int
    second: Activation


class ArrayShape(NamedTuple):
    """Numbers of channels and groups that all layers of an array have in common.

    `head1x1` is the channels of the convolution in front of the head, 0 without; `layer1x1_groups` is 0 where the
    residual path has no convolution.
    """

    inputs: int
    channels: int
    bottleneck: int
    conv_groups: int
    mix_groups: int
    layer1x1_groups: int
    head1x1: int
    head1x1_groups: int
    head: int
    head_kernel: int
    head_bias: int


@dataclass(frozen=True)
class LayerArray:
    """Layers of one width, one after the other."""

    shape: ArrayShape
    layers: tuple[Layer, ...]

    @property
    def skip(self) -> int:
        """Channels that each layer adds to the head's input."""
        return self.shape.head1x1 or self.shape.bottleneck

    @property
    def history(self) -> int:
        """Past samples that the layer with the longest receptive field needs."""
        return max((layer.kernel - 1) * layer.dilation for layer in self.layers)

    def layer_weights(self, layer: Layer) -> int:
        """Return how many weights one layer takes in the file: convolution, input, residual and head convolution."""
        shape = self.shape
        middle = shape.bottleneck * (2 if layer.gating else 1)
        taken = middle * (shape.channels // shape.conv_groups) * layer.kernel + middle + middle // shape.mix_groups
        if shape.layer1x1_groups:
            taken += shape.channels * (shape.bottleneck // shape.layer1x1_groups) + shape.channels
        if shape.head1x1:
            taken += shape.head1x1 * (shape.bottleneck // shape.head1x1_groups) + shape.head1x1
        return taken

    @property
    def weights(self) -> int:
        """How many weights the array takes in the file."""
        shape = self.shape
        own = shape.inputs * shape.channels + shape.head * (self.skip * shape.head_kernel + shape.head_bias)
        return own + sum(map(self.layer_weights, self.layers))


class HeadLayer(NamedTuple):
    """One layer behind the last array: an activation, then a convolution."""

    inputs: int
    outputs: int
    kernel: int
    activation: Activation


@dataclass(frozen=True)
class WaveNetConfig:
    """Arrays of layers, and what follows them."""

    arrays: tuple[LayerArray, ...]
    head: tuple[HeadLayer, ...]

    @property
    def weights(self) -> int:
        """How many weights the file must hold; the last one is the gain of the head."""
        return (
            sum(array.weights for array in self.arrays)
            + sum(layer.outputs * (layer.inputs * layer.kernel + 1) for layer in self.head)
            + 1
        )

    @property
    def receptive_field(self) -> int:
        """Samples of input that one sample of output depends on."""
        layers = sum((layer.kernel - 1) * layer.dilation for array in self.arrays for layer in array.layers)
        heads = sum(array.shape.head_kernel - 1 for array in self.arrays) + sum(each.kernel - 1 for each in self.head)
        return 1 + layers + heads


def wavenet_config(config: Fields) -> WaveNetConfig:
    """Return the shape that the `config` of a WaveNet capture describes.

    Raises:
        CaptureError: a field is missing, wrong, or describes what is not known here.
    """
    config.refuse("condition_dsp", "captures with a network for their condition cannot be played")
    arrays = tuple(
        _array(Fields(each, f"config.layers[{number}]")) for number, each in enumerate(config.list("layers"))
    )
    if not arrays:
        raise CaptureError("config.layers is empty")
    if arrays[0].shape.inputs != 1:
        raise CaptureError(f"config.layers[0].input_size {arrays[0].shape.inputs}; expected 1")
    for number, (before, after) in enumerate(pairwise(arrays), 1):
        if after.shape.inputs != before.shape.channels or after.skip != before.shape.head:
            raise CaptureError(
                f"config.layers[{number}] takes {after.shape.inputs} channels and {after.skip} for the head; "
                f"the array before has {before.shape.channels} and {before.shape.head}"
            )
    head = _head(config, arrays[-1].shape.head)
    if (outputs := head[-1].outputs if head else arrays[-1].shape.head) != 1:
        raise CaptureError(f"config: {outputs} output channels; expected 1")
    return WaveNetConfig(arrays, head)


def _array(fields: Fields) -> LayerArray:
    if (conditions := fields.whole("condition_size", 1)) != 1:
        raise CaptureError(f"condition_size {conditions}; expected 1: captures with knobs cannot be played")
    for name in _FILMS:
        for place in ("pre", "post"):
            if fields.found.get(f"{name}_{place}_film"):
                fields.inner(f"{name}_{place}_film").refuse("active", "modulated layers cannot be played")
    channels = fields.whole("channels", most=1024)
    bottleneck = fields.whole("bottleneck", channels, most=1024)
    head1x1, head1x1_groups = _pointwise(fields, "head1x1", False)
    _, layer1x1_groups = _pointwise(fields, "layer1x1", True)
    if not layer1x1_groups and bottleneck != channels:
        raise CaptureError(f"bottleneck {bottleneck} without layer1x1; expected {channels}, as many as channels")
    head, head_kernel, head_bias = _head_of_array(fields)
    shape = ArrayShape(
        fields.whole("input_size", most=1024),
        channels,
        bottleneck,
        fields.whole("groups_input", 1),
        fields.whole("groups_input_mixin", 1),
        layer1x1_groups,
        head1x1,
        head1x1_groups,
        head,
        head_kernel,
        int(head_bias),
    )
    layers = _layers(fields)
    _check_groups(shape, layers)
    return LayerArray(shape, layers)


def _pointwise(fields: Fields, name: str, default: bool) -> tuple[int, int]:
    """Return output channels and groups of a layer's convolution of length 1; both 0 where it is not active."""
    if fields.found.get(name) is None:
        return (0, 1) if default else (0, 0)
    inner = fields.inner(name)
    if not inner.switch("active", default):
        return 0, 0
    return inner.whole("out_channels", 1, most=1024), inner.whole("groups", 1)


def _head_of_array(fields: Fields) -> tuple[int, int, bool]:
    if fields.found.get("head") is None:
        return fields.whole("head_size", most=1024), 1, fields.switch("head_bias")
    inner = fields.inner("head")
    return inner.whole("out_channels", most=1024), inner.whole("kernel_size", 1, most=1024), inner.switch("bias")


def _layers(fields: Fields) -> tuple[Layer, ...]:
    dilations = [whole(each, "dilations", _LONGEST) for each in fields.list("dilations")]
    count = len(dilations)
    if not 1 <= count <= 1000:
        raise CaptureError(f"{count} dilations; expected 1 to 1000")
    kernels = fields.found.get("kernel_sizes", fields.found.get("kernel_size"))
    gatings = fields.found.get("gating_mode")
    if gatings is None:
        gatings = "gated" if fields.switch("gated", False) else "none"
    columns = zip(
        [whole(each, "kernel_sizes", 4096) for each in _each(kernels, count, "kernel_sizes")],
        dilations,
        _each(fields.found.get("activation", "Tanh"), count, "activation"),
        _each(gatings, count, "gating_mode"),
        _each(fields.found.get("secondary_activation"), count, "secondary_activation"),
        strict=True,
    )
    return tuple(_layer(*column) for column in columns)


def _layer(kernel: int, dilation: int, first: Any, gating: Any, second: Any) -> Layer:
    if gating not in _GATINGS:
        raise CaptureError(f"gating_mode {gating!r}; expected one of {', '.join(_GATINGS)}")
    if kernel * dilation > _LONGEST:
        raise CaptureError(f"a layer of {kernel} taps {dilation} samples apart; expected at most {_LONGEST} samples")
    return Layer(kernel, dilation, _activation(first), _GATINGS[gating], _activation(second or "Sigmoid"))


def _each(value: Any, count: int, name: str) -> Sequence[Any]:
    """Return a list of one value a layer, where the file may hold one for all."""
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise CaptureError(f"{len(value)} {name} for {count} dilations; expected one each")
    return value


def _activation(found: Any) -> Activation:
    fields = Fields({"type": found} if isinstance(found, str) else found, "activation")
    name = fields.text("type", str(fields.found.get("name", "")))
    if name not in _ACTIVATIONS:
        raise CaptureError(f"activation {name[:40]!r}; expected one of {', '.join(_ACTIVATIONS)}")
    fields.refuse("negative_slopes", "a slope for each channel cannot be played")
    numbers = [fields.number(each, default) for each, default in _ACTIVATIONS[name].items()]
    first, second, third, fourth = (*numbers, 0.0, 0.0, 0.0, 0.0)[:4]
    return Activation(_KINDS[name], (first, second, third, fourth))


def _check_groups(shape: ArrayShape, layers: Sequence[Layer]) -> None:
    middles = {shape.bottleneck * (2 if layer.gating else 1) for layer in layers}
    wrong = [
        name
        for name, groups, widths in (
            ("groups_input", shape.conv_groups, {shape.channels, *middles}),
            ("groups_input_mixin", shape.mix_groups, {1, *middles}),
            ("layer1x1.groups", shape.layer1x1_groups, {shape.channels, shape.bottleneck}),
            ("head1x1.groups", shape.head1x1_groups, {shape.head1x1, shape.bottleneck}),
        )
        if groups and any(width % groups for width in widths)
    ]
    if wrong:
        raise CaptureError(f"{', '.join(wrong)}: the channels cannot be divided into so many groups")


def _head(config: Fields, inputs: int) -> tuple[HeadLayer, ...]:
    if config.found.get("head") is None:
        return ()
    head = config.inner("head")
    kernels = [whole(each, "config.head.kernel_sizes", 4096) for each in head.list("kernel_sizes")]
    if not kernels:
        raise CaptureError("config.head.kernel_sizes is empty")
    widths = [inputs, *[head.whole("channels", most=1024)] * (len(kernels) - 1), head.whole("out_channels", most=1024)]
    activation = _activation(head.found.get("activation"))
    return tuple(
        HeadLayer(before, after, kernel, activation)
        for (before, after), kernel in zip(pairwise(widths), kernels, strict=True)
    )
