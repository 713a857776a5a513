"""WaveNet (van den Oord et al. 2016): an autoregressive model of sound with global and local conditioning.

Causal convolutions of two taps, their dilations doubling and starting over, gated units, residual and skip paths.
The conditioning enters the gates as a bias that is constant over a frame, so it costs one matrix product
per frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramophone.models.layers import mulaw
from gramophone.models.layers.composition import Sequential
from gramophone.models.layers.convolution import CausalConv1d, TransposedConv1d
from gramophone.models.layers.streaming import Pointwise, State, Streaming
from gramophone.models.nets.decoder import residual_unit
from gramophone.models.nets.output_distributions import Categorical, output_of


@dataclass(frozen=True)
class WaveNetShape:
    """Hyperparameters of a WaveNet.

    `layers` of dilations 1, 2, 4 … `2 ** (cycle - 1)` and again; `residual` and `skip` channels; `output` is `mulaw`
    or `logistics` (of so many `components`). `speakers` is the number of embeddings, `speaker` wide (0: none),
    `vector` the width of any other global conditioning, `local` the channels of the local conditioning, a series with
    one frame every `hop` samples; `upsampling` are the strides of learned upsampling before its frames are repeated.
    With `units` residual units, `width` wide, the series is first processed together with the global conditioning.
    """

    layers: int = 16
    cycle: int = 8
    residual: int = 32
    skip: int = 32
    output: str = "mulaw"
    components: int = 10
    speakers: int = 0
    speaker: int = 16
    vector: int = 0
    local: int = 0
    hop: int = 1
    upsampling: tuple[int, ...] = ()
    units: int = 0
    width: int = 128

    @property
    def dilations(self) -> tuple[int, ...]:
        """The dilation of each layer."""
        return tuple(2 ** (layer % self.cycle) for layer in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """The receptive field in samples."""
        return 1 + sum(self.dilations)

    @property
    def condition(self) -> int:
        """Channels of the conditioning."""
        return self._fixed + (self.residual if self.local else 0)

    @property
    def series_inputs(self) -> int:
        """Input channels of the network that processes the local series."""
        return self.local + (self._fixed if self.units else 0)

    @property
    def _fixed(self) -> int:
        """Channels of the global conditioning."""
        return (self.speaker if self.speakers else 0) + self.vector


SIZES = {
    "S": WaveNetShape(layers=16, cycle=8, residual=32, skip=32),
    "M": WaveNetShape(layers=20, cycle=10, residual=64, skip=128),
    "L": WaveNetShape(layers=30, cycle=10, residual=64, skip=256),
}
"""Three sizes by name; add conditioning with `dataclasses.replace`."""


class Conditions(Streaming):
    """Speaker, global vector and local series as one series of conditioning.

    Input: the local series `(B, local, n)`; without one any `(B, 0, n)`. Controls: weights over the speakers' table,
    `(B, speakers)` (one-hot for one speaker, anything between for a blend), then the vector, `(B, vector)`; each only
    if the shape has it. Output `(B, condition, n * up)`, delay 0: learned upsampling is causal.

    Raises:
        ValueError: the strides do not fit the hop.
    """

    def __init__(self, shape: WaveNetShape) -> None:
        super().__init__()
        self.shape = shape
        if shape.speakers:
            self.table = nn.Parameter(torch.randn(shape.speakers, shape.speaker))
        layers: list[Streaming] = []
        if shape.local:
            layers = [_series_network(shape) if shape.units else CausalConv1d(shape.local, shape.residual, 2)]
            for stride in shape.upsampling:
                layers += [
                    Pointwise(nn.LeakyReLU(0.2)),
                    TransposedConv1d(shape.residual, shape.residual, 2 * stride, stride),
                ]
            self.series = Sequential(*layers)
            self.up = self.series.up
        if shape.hop % self.up:
            raise ValueError(
                f"upsampling {shape.upsampling}: expected strides whose product divides the hop {shape.hop}"
            )

    def initial_state(self, x: Tensor) -> State:
        """Return the state after silence."""
        return (
            self.series.initial_state(x.new_zeros(x.shape[0], self.shape.series_inputs, 0)) if self.shape.local else ()
        )

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the conditioning for a chunk of the local series."""
        series = x
        fixed = list(controls)
        if self.shape.speakers:
            fixed[0] = fixed[0] @ self.table
        if self.shape.local:
            inputs = torch.cat([*_held_for(x, fixed), x], 1) if self.shape.units else x
            series, state = self.series.step(inputs, state)
        return torch.cat([*_held_for(series, fixed), series], 1), state


def _series_network(shape: WaveNetShape) -> Sequential:
    """Return the network that processes the local series together with the global conditioning."""
    units = [residual_unit(shape.width, 3, 2**unit) for unit in range(shape.units)]
    return Sequential(
        CausalConv1d(shape.series_inputs, shape.width, 3), *units, CausalConv1d(shape.width, shape.residual, 1)
    )


def _held_for(series: Tensor, vectors: Sequence[Tensor]) -> list[Tensor]:
    """Return vectors `(B, V)` repeated to series `(B, V, n)` of the length of another."""
    return [vector[:, :, None].expand(-1, -1, series.shape[2]) for vector in vectors]


def smooth_table(channels: int) -> Tensor:
    """Return an initial embedding of mu-law levels, `(256, channels)`, in which neighbouring levels are similar.

    Random mixtures of the level, its sound and eight cosines of it. An embedding of independent numbers
    has to learn first that neighbours are similar: its loss is 0.3 bits higher after 400 steps.
    """
    levels = torch.arange(mulaw.LEVELS)
    ramp = levels / (mulaw.LEVELS - 1)
    cosines = [torch.cos(math.pi * turns * ramp) for turns in range(2, 10)]
    shapes = torch.stack([2 * ramp - 1, 3 * mulaw.decode(levels), *cosines], 1)
    return shapes @ torch.randn(shapes.shape[1], channels) / math.sqrt(shapes.shape[1])


class WaveNet(Streaming):
    """Symbols `(B, 1, T)` -> predictions of the next, `(B, width, T)`, delay 0; prediction `t` is of symbol `t + 1`.

    Symbols are int64 mu-law levels or float samples, as `self.output` says (`output_distributions`). The control is the
    conditions, `(B, condition, n)` from `self.conditions`, with `T` a multiple of `n`: each frame holds for `T / n`
    samples. State: per layer the inputs that its older tap still needs, `(B, dilation, residual)`, oldest first.
    """

    def __init__(self, shape: WaveNetShape) -> None:
        super().__init__()
        self.shape = shape
        self.output = output_of(shape.output, shape.components)
        self.conditions = Conditions(shape)
        residual, skip = shape.residual, shape.skip
        if isinstance(self.output, Categorical):
            self.entry: nn.Module = nn.Embedding(self.output.width, residual)
            self.entry.weight = nn.Parameter(smooth_table(residual))
        else:
            self.entry = nn.Linear(1, residual)
        self.gates = nn.ModuleList(CausalConv1d(residual, 2 * residual, 2, dilation) for dilation in shape.dilations)
        self.exits = nn.ModuleList(nn.Linear(residual, residual + skip) for _ in shape.dilations)
        if shape.condition:
            self.biases = nn.Linear(shape.condition, shape.layers * 2 * residual, bias=False)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(skip, skip), nn.ReLU(), nn.Linear(skip, self.output.width))

    def initial_state(self, x: Tensor) -> State:
        """Return the state after zeros."""
        like = next(self.head.parameters()).new_zeros(x.shape[0], self.shape.residual, 0)
        return tuple(tensor for gate in self._layers for tensor in gate.initial_state(like))

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Predict the symbol after each of a chunk."""
        skips, state, _ = self._run(x, state, controls, ())
        return self.head(skips).transpose(1, 2), state

    def activations(self, x: Tensor, layers: Sequence[int], *controls: Tensor) -> list[Tensor]:
        """Return the residual path after each of `layers` (0 is the first), `(B, residual, T)` each, from silence."""
        _, _, kept = self._run(x, self.initial_state(x), controls, layers)
        return [kept[layer].transpose(1, 2) for layer in layers]

    def predictions(self, x: Tensor, layers: Sequence[int], *controls: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the prediction after each symbol, from silence, and the `activations` of `layers`, in one pass."""
        skips, _, kept = self._run(x, self.initial_state(x), controls, layers)
        return self.head(skips).transpose(1, 2), [kept[layer].transpose(1, 2) for layer in layers]

    def entered(self, x: Tensor) -> Tensor:
        """Return the embedding of symbols `(B, 1, T)`, `(B, T, residual)`."""
        entered: Tensor = self.entry(x[:, 0] if x.dtype == torch.int64 else x[:, 0, :, None])
        return entered

    @property
    def _layers(self) -> list[CausalConv1d]:
        return cast("list[CausalConv1d]", list(self.gates))

    def _run(
        self, x: Tensor, state: State, controls: tuple[Tensor, ...], keep: Sequence[int]
    ) -> tuple[Tensor, State, dict[int, Tensor]]:
        """Return the skip paths' sum `(B, T, skip)`, the state after, and the layers kept, `(B, T, residual)` each."""
        after: list[Tensor] = []
        kept: dict[int, Tensor] = {}
        path = self.entered(x)
        biases = self._biases(controls, path.shape[1])
        skips: Tensor | None = None
        for layer, (gate, exit_) in enumerate(zip(self._layers, self.exits, strict=True)):
            both, past = gate.step(path.transpose(1, 2), state[layer : layer + 1])
            both = both.transpose(1, 2)
            if biases is not None:
                both = _held(both, biases[:, :, layer])
            tanh, sigmoid = both.chunk(2, 2)
            out: Tensor = exit_(torch.tanh(tanh) * torch.sigmoid(sigmoid))
            path = path + out[:, :, : self.shape.residual]
            skip = out[:, :, self.shape.residual :]
            skips = skip if skips is None else skips + skip
            after += past
            if layer in keep:
                kept[layer] = path
        assert skips is not None
        return skips, tuple(after), kept

    def _biases(self, controls: tuple[Tensor, ...], time: int) -> Tensor | None:
        """Return the gates' biases per frame, `(B, n, layers, 2 * residual)`.

        Raises:
            ValueError: the conditions do not fit the shape or the length of the chunk.
        """
        if not self.shape.condition:
            return None
        channels, frames = controls[0].shape[1:] if controls else (0, 0)
        if channels != self.shape.condition or not frames or time % frames:
            raise ValueError(
                f"conditions of {channels} channels in {frames} frames for {time} samples: "
                f"expected {self.shape.condition} channels and a number of frames that divides the samples"
            )
        biases: Tensor = self.biases(controls[0].transpose(1, 2))
        return biases.reshape(*biases.shape[:2], self.shape.layers, -1)


def _held(gates: Tensor, biases: Tensor) -> Tensor:
    """Add a bias per frame `(B, n, C)` to all samples of that frame, `(B, T, C)`."""
    batch, time, channels = gates.shape
    return (gates.reshape(batch, biases.shape[1], -1, channels) + biases[:, :, None]).reshape(batch, time, channels)


def one_hot_speaker(speaker: int, speakers: int) -> Tensor:
    """Return the weights `(1, speakers)` that mean one speaker alone.

    Raises:
        ValueError: there is no such speaker.
    """
    if not 0 <= speaker < speakers:
        raise ValueError(f"speaker {speaker}: expected 0 to {speakers - 1}")
    return F.one_hot(torch.tensor([speaker]), speakers).to(torch.get_default_dtype())
