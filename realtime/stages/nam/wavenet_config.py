"""The shape of a WaveNet capture: stacks of dilated convolutions, and how many weights each takes.

Read are both forms of the file: that of version 0.5 (`head_size`, `kernel_size`, `gated`), and that of 0.6 and 0.7
(`head`, `kernel_sizes`, `gating_mode`, `bottleneck`, convolutions in groups, modulation by the condition).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from gramophone.realtime.stages.nam.fields import CaptureError, Fields, number, whole

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
_FILMS = tuple(
    f"{place}_film"
    for place in (
        "conv_pre",
        "conv_post",
        "input_mixin_pre",
        "input_mixin_post",
        "activation_pre",
        "activation_post",
        "layer1x1_post",
        "head1x1_post",
    )
)
"""Where a layer can be modulated, in the order of the weights."""
_CONFIG_KEYS = ("layers", "head", "head_scale", "condition_dsp", "in_channels")
_ARRAY_KEYS = (
    *("input_size", "condition_size", "channels", "bottleneck", "dilations", "kernel_size", "kernel_sizes"),
    *("activation", "gated", "gating_mode", "secondary_activation", "groups_input", "groups_input_mixin"),
    *("head", "head_size", "head_bias", "head1x1", "layer1x1", "slimmable", *_FILMS),
)


class Activation(NamedTuple):
    """A function of each value: its number in `_ACTIVATIONS`, and the numbers that it needs.

    These are a slope for each channel or one for all, or else four, of which the last may not be needed.
    """

    kind: int
    numbers: tuple[float, ...]


class Layer(NamedTuple):
    """One dilated convolution with its activation; `gating`: how a second half of the channels acts on the first."""

    kernel: int
    dilation: int
    activation: Activation
    gating: int
    second: Activation


class Film(NamedTuple):
    """Modulation of channels by the condition: `factors` is 0 without, 1 for a factor each, 2 for a shift as well."""

    factors: int
    groups: int


class ArrayShape(NamedTuple):
    """Numbers of channels and groups that all layers of an array have in common.

    `conditions` is the channels of the condition, `head1x1` those of the convolution in front of the head, 0 without;
    `layer1x1_groups` is 0 where the residual path has no convolution.
    """

    inputs: int
    conditions: int
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
    """Layers of one width, one after the other; `films` is how all are modulated, a place of `_FILMS` each."""

    shape: ArrayShape
    layers: tuple[Layer, ...]
    films: tuple[Film, ...]

    @property
    def skip(self) -> int:
        """Channels that each layer adds to the head's input."""
        return self.shape.head1x1 or self.shape.bottleneck

    @property
    def history(self) -> int:
        """Past samples that the layer with the longest receptive field needs."""
        return max((layer.kernel - 1) * layer.dilation for layer in self.layers)

    def layer_weights(self, layer: Layer) -> int:
        """Return how many weights one layer takes in the file: four convolutions, and their modulation."""
        return self.convolution_weights(layer) + sum(self.film_weights(layer))

    def film_widths(self, layer: Layer) -> tuple[int, ...]:
        """Return how many channels a layer has at each place of `_FILMS`."""
        shape = self.shape
        middle = shape.bottleneck * (2 if layer.gating else 1)
        behind = (shape.bottleneck, shape.channels, shape.head1x1)
        return shape.channels, middle, shape.conditions, middle, middle, *behind

    def film_weights(self, layer: Layer) -> tuple[int, ...]:
        """Return how many weights the modulation of a layer takes at each place of `_FILMS`."""
        return tuple(
            film.factors * width * (self.shape.conditions // film.groups + 1)
            for film, width in zip(self.films, self.film_widths(layer), strict=True)
        )

    def convolution_weights(self, layer: Layer) -> int:
        """Return how many weights a layer's convolutions take: dilated, of the condition, residual, of the head."""
        shape = self.shape
        middle = shape.bottleneck * (2 if layer.gating else 1)
        taken = middle * ((shape.channels // shape.conv_groups) * layer.kernel + 1)
        taken += middle * (shape.conditions // shape.mix_groups)
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
    def conditions(self) -> int:
        """Channels of the condition, one where that is the input itself."""
        return self.arrays[0].shape.conditions

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        return self.head[-1].outputs if self.head else self.arrays[-1].shape.head

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
        """Samples of input and condition that one sample of output depends on."""
        layers = sum((layer.kernel - 1) * layer.dilation for array in self.arrays for layer in array.layers)
        heads = sum(array.shape.head_kernel - 1 for array in self.arrays) + sum(each.kernel - 1 for each in self.head)
        return 1 + layers + heads


def wavenet_config(config: Fields) -> WaveNetConfig:
    """Return the shape that the `config` of a WaveNet capture describes.

    Raises:
        CaptureError: a field is missing, wrong, or describes what is not known here.
    """
    config.only(_CONFIG_KEYS)
    layers = config.path("layers")
    arrays = tuple(_array(Fields(each, f"{layers}[{place}]")) for place, each in enumerate(config.list("layers")))
    if not arrays:
        raise CaptureError(f"{layers} is empty")
    if arrays[0].shape.inputs != 1:
        raise CaptureError(f"{layers}[0].input_size {arrays[0].shape.inputs}; expected 1")
    for place, (before, after) in enumerate(pairwise(arrays), 1):
        if before.shape.conditions != after.shape.conditions:
            raise CaptureError(
                f"{layers}[{place}].condition_size {after.shape.conditions}; "
                f"expected {before.shape.conditions}, as in the array before"
            )
        if after.shape.inputs != before.shape.channels or after.skip != before.shape.head:
            raise CaptureError(
                f"{layers}[{place}] takes {after.shape.inputs} channels and {after.skip} for the head; "
                f"the array before has {before.shape.channels} and {before.shape.head}"
            )
    return WaveNetConfig(arrays, _head(config, arrays[-1].shape.head))


def _array(fields: Fields) -> LayerArray:
    fields.only(_ARRAY_KEYS)
    channels = fields.whole("channels", most=1024)
    bottleneck = fields.whole("bottleneck", channels, most=1024)
    head1x1, head1x1_groups = _pointwise(fields, "head1x1", False)
    _, layer1x1_groups = _pointwise(fields, "layer1x1", True)
    if not layer1x1_groups and bottleneck != channels:
        raise CaptureError(f"bottleneck {bottleneck} without layer1x1; expected {channels}, as many as channels")
    head, head_kernel, head_bias = _head_of_array(fields)
    shape = ArrayShape(
        fields.whole("input_size", most=1024),
        fields.whole("condition_size", 1, most=1024),
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
    array = LayerArray(shape, _layers(fields), tuple(_film(fields, name) for name in _FILMS))
    _check_groups(array, fields)
    for layer in array.layers:
        _check_slopes(layer.activation, bottleneck, fields.path("activation"))
        _check_slopes(layer.second, bottleneck, fields.path("secondary_activation"))
    return array


def _film(fields: Fields, name: str) -> Film:
    if not fields.found.get(name):
        return Film(0, 1)
    inner = fields.inner(name)
    if not inner.switch("active", False):
        return Film(0, 1)
    inner.only(("active", "shift", "groups"))
    return Film(2 if inner.switch("shift", True) else 1, inner.whole("groups", 1))


def _pointwise(fields: Fields, name: str, default: bool) -> tuple[int, int]:
    """Return output channels and groups of a layer's convolution of length 1; both 0 where it is not active."""
    if fields.found.get(name) is None:
        return (0, 1) if default else (0, 0)
    inner = fields.inner(name)
    if not inner.switch("active", default):
        return 0, 0
    inner.only(("active", "out_channels", "groups"))
    return inner.whole("out_channels", 1, most=1024), inner.whole("groups", 1)


def _head_of_array(fields: Fields) -> tuple[int, int, bool]:
    if fields.found.get("head") is None:
        return fields.whole("head_size", most=1024), 1, fields.switch("head_bias")
    inner = fields.inner("head")
    inner.only(("out_channels", "kernel_size", "bias"))
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
    if name == "PReLU" and fields.found.get("negative_slopes") is not None:
        slopes = fields.list("negative_slopes")
        return Activation(_KINDS[name], tuple(number(each, fields.path("negative_slopes")) for each in slopes))
    numbers = [fields.number(each, default) for each, default in _ACTIVATIONS[name].items()]
    return Activation(_KINDS[name], tuple(numbers) if len(numbers) == 1 else (*numbers, 0.0, 0.0, 0.0, 0.0)[:4])


def _check_slopes(activation: Activation, channels: int, where: str) -> None:
    if activation.kind == _KINDS["PReLU"] and len(activation.numbers) not in (1, channels):
        raise CaptureError(f"{where}: {len(activation.numbers)} negative_slopes; expected {channels}, one a channel")


def _check_groups(array: LayerArray, fields: Fields) -> None:
    """Raise `CaptureError` if channels cannot be divided into groups, or there are none to modulate."""
    shape = array.shape
    widths = [array.film_widths(layer) for layer in array.layers]
    middles = {each[1] for each in widths}
    grouped = [
        ("groups_input", shape.conv_groups, {shape.channels, *middles}),
        ("groups_input_mixin", shape.mix_groups, {shape.conditions, *middles}),
        ("layer1x1.groups", shape.layer1x1_groups, {shape.channels, shape.bottleneck}),
        ("head1x1.groups", shape.head1x1_groups, {shape.head1x1, shape.bottleneck}),
    ]
    for name, film, places in zip(_FILMS, array.films, zip(*widths, strict=True), strict=True):
        convolution = name.removesuffix("_post_film")
        if film.factors and not {"layer1x1": shape.layer1x1_groups, "head1x1": shape.head1x1}.get(convolution, 1):
            raise CaptureError(f"{fields.path(name)} is active, but {convolution}, which it modulates, is not")
        made = {film.factors * width for width in places}
        grouped.append((f"{name}.groups", film.groups, {shape.conditions, *made}))
    for name, groups, divided in grouped:
        if groups and any(width % groups for width in divided):
            raise CaptureError(
                f"{fields.path(name)} {groups}; expected a number that divides "
                f"{' and '.join(str(width) for width in sorted(divided))} channels"
            )


def _head(config: Fields, inputs: int) -> tuple[HeadLayer, ...]:
    if config.found.get("head") is None:
        return ()
    head = config.inner("head")
    head.only(("channels", "activation", "out_channels", "kernel_sizes", "in_channels"))
    kernels = [whole(each, head.path("kernel_sizes"), 4096) for each in head.list("kernel_sizes")]
    if not kernels:
        raise CaptureError(f"{head.path('kernel_sizes')} is empty")
    widths = [inputs, *[head.whole("channels", most=1024)] * (len(kernels) - 1), head.whole("out_channels", most=1024)]
    activation = _activation(head.found.get("activation"))
    _check_slopes(activation, 1, head.path("activation"))
    return tuple(
        HeadLayer(before, after, kernel, activation)
        for (before, after), kernel in zip(pairwise(widths), kernels, strict=True)
    )
