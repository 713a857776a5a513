"""The Variational Lossy Autoencoder (Chen et al. 2017) for sound: slow latents, and a WaveNet with a short memory.

The decoder's receptive field is a few milliseconds, on purpose: longer structure can reach it through the latents
alone, so they must carry it. The prior over their series is autoregressive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn import functional as F

from gramophone.models.layers.composition import Delay, Parallel, Sequential
from gramophone.models.layers.convolution import CausalConv1d, StridedConv1d
from gramophone.models.layers.pre_emphasis import Deemphasis, Emphasis
from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.layers.vocoder_features import LogMel
from gramophone.models.nets.autoregressive import Autoregressive
from gramophone.models.nets.decoder import residual_unit
from gramophone.models.nets.latent_order import LatentOrder
from gramophone.models.nets.output_distributions import Output
from gramophone.models.nets.prior_series import SeriesPrior
from gramophone.models.nets.vae import VAE, gaussian
from gramophone.models.nets.wavenet import WaveNet, WaveNetShape


@dataclass(frozen=True)
class VLAEShape:
    """Hyperparameters of a VLAE.

    The encoder reads `bands` mel bands every `mel_hop` samples at `rate` Hz, with a window of `mel_window` samples and
    optionally a second of `pitch_window`, long enough to resolve harmonics. It has `units` residual units of `width`
    channels, and gives `latents` once in `stride` frames (0 latents: the unconditional twin). The decoder is a WaveNet
    of `layers` in cycles of `cycle`, of `residual` and `skip` channels, conditioned on one of `speakers` (0: none) by a
    vector of width `speaker`, and on the latents through `told` residual units of `width`. It models sound with
    pre-emphasis `emphasis`. `prior` is the width of the prior's convolutions (0: N(0, I)).
    """

    rate: int = 16_000
    bands: int = 64
    mel_hop: int = 128
    mel_window: int = 512
    pitch_window: int = 0
    stride: int = 1
    width: int = 128
    units: int = 4
    latents: int = 16
    layers: int = 8
    cycle: int = 8
    residual: int = 48
    skip: int = 64
    output: str = "mulaw"
    emphasis: float = 0.0
    speakers: int = 0
    speaker: int = 16
    told: int = 0
    prior: int = 64

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return self.mel_hop * self.stride

    @property
    def wavenet(self) -> WaveNetShape:
        """The decoder."""
        return WaveNetShape(
            layers=self.layers,
            cycle=self.cycle,
            residual=self.residual,
            skip=self.skip,
            output=self.output,
            speakers=self.speakers,
            speaker=self.speaker,
            local=self.latents,
            hop=self.hop,
            units=self.told,
            width=self.width,
        )


class VLAE(VAE):
    """Sound `(B, 1, T)`, -1 to 1, `T` whole hops; latents `(B, latents, T / hop)`, frame `m` of them that of hop `m`.

    Where the shape has speakers, weights over them, `(B, speakers)`, are the conditioning. `encoder` and `decoder`
    stream; together they have a delay of `encoder.delay` latent frames.
    """

    def __init__(self, shape: VLAEShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = encoder(shape)
        self.decoder = VLAEDecoder(WaveNet(shape.wavenet), shape.hop, shape.emphasis)
        self.frames = SeriesPrior(shape.latents, shape.prior) if shape.prior and shape.latents else None

    @property
    def wavenet(self) -> WaveNet:
        """The decoder's network."""
        return self.decoder.wavenet

    @property
    def delay(self) -> int:
        """The latency of encoder and decoder together, in samples."""
        return self.encoder.delay * self.shape.hop

    def posterior(self, x: Tensor, *given: Tensor) -> Distribution:
        """Return a Gaussian for each latent of each frame; the encoder's delay is taken out.

        Raises:
            ValueError: the sound is no whole number of hops.
        """
        if not x.shape[2] or x.shape[2] % self.shape.hop:
            raise ValueError(f"a sound of {x.shape[2]} samples: expected a multiple of the hop {self.shape.hop}")
        numbers, _ = self.encoder(F.pad(x, (0, self.delay)))
        return gaussian(numbers[:, :, self.encoder.delay :])

    def conditional(self, z: Tensor, *given: Tensor) -> Distribution:
        """Return the distribution of sound, each sample given those shortly before it.

        Raises:
            ValueError: the latents or the conditions do not fit.
        """
        conditions, _ = self.wavenet.conditions(_fitting(z, self.shape.latents), None, *given)
        return _Sound(self.decoder, conditions, z.shape[2] * self.shape.hop)

    def prior(self, *given: Tensor) -> Distribution:
        """Return the learned distribution of series, or N(0, I)."""
        if self.frames is None:
            return super().prior()
        return self.frames.distribution(self.origin.expand(1, self.shape.latents, 1))


def arrange(model: VLAE, arrangement: LatentOrder) -> None:
    """Reorder the latents and flip the signs of some; the reconstruction stays the same."""
    ends = [model.encoder.layers[-1]]
    starts = [_first(model.wavenet.conditions.series)]
    if model.frames is not None:
        ends.append(model.frames.layers.layers[-1])
        starts.append(_first(model.frames.layers))
    for end in ends:
        arrangement.give(cast(CausalConv1d, end))
    for start in starts:
        arrangement.take(start.weight[:, -model.shape.latents :], 1)


def encoder(shape: VLAEShape) -> Sequential:
    """Return the network from sound `(B, 1, T)` to means and log scales of latents, `(B, 2 * latents, T / hop)`."""
    windows = [window for window in (shape.mel_window, shape.pitch_window) if window]
    mel = Parallel(*(LogMel(shape.rate, shape.mel_hop, shape.bands, window) for window in windows), merge="stack")
    return Sequential(
        mel,
        Delay(-mel.delay % shape.stride),
        CausalConv1d(len(windows) * shape.bands, shape.width, 3),
        *(residual_unit(shape.width, 3, 2**unit) for unit in range(shape.units)),
        StridedConv1d(shape.width, shape.width, 2 * shape.stride, shape.stride),
        CausalConv1d(shape.width, 2 * shape.latents, 1),
    )


class VLAEDecoder(Streaming):
    """Latents `(B, latents, n)` -> sound `(B, 1, n * hop)`, sample by sample, delay 0.

    Controls: weights over the speakers, if there are any, then uniform random numbers within [0, 1), `(B, uniforms, n *
    hop)`: the same numbers give the same sound. State: the last symbol, then the de-emphasis', the conditions' and the
    WaveNet's.

    A quicker sampler does the same in three steps: `wavenet.conditions` of the latents, the WaveNet along them, and
    `deemphasis` of its output.
    """

    def __init__(self, wavenet: WaveNet, hop: int, emphasis: float) -> None:
        super().__init__()
        self.wavenet = wavenet
        self.emphasis, self.deemphasis = Emphasis(emphasis), Deemphasis(emphasis)
        self.up = hop

    def initial_state(self, x: Tensor) -> State:
        """Silence."""
        symbol = self.wavenet.output.symbols(x.new_zeros(x.shape[0], 1, 1))
        deemphasis = self.deemphasis.initial_state(x)
        return symbol, *deemphasis, *self.wavenet.conditions.initial_state(x), *self.wavenet.initial_state(symbol)

    @torch.no_grad()
    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Draw the sound of one chunk.

        Raises:
            ValueError: the latents or the random numbers do not fit.
        """
        *given, uniform = controls
        net = self.wavenet
        if uniform.shape[1:] != (net.output.uniforms, x.shape[2] * self.up):
            wanted = (net.output.uniforms, x.shape[2] * self.up)
            raise ValueError(f"random numbers of shape {tuple(uniform.shape[1:])}: expected {wanted}")
        size = len(net.conditions.initial_state(x))
        symbol, deemphasis, series, layers = state[0], state[1:2], state[2 : 2 + size], state[2 + size :]
        conditions, series = net.conditions.step(_fitting(x, net.shape.local), series, *given)
        drawn = []
        for time in range(uniform.shape[2]):
            frame = conditions[:, :, time // self.up, None]
            numbers, layers = net.step(symbol, layers, frame)
            symbol = net.output.draw(numbers[:, :, 0], uniform[:, :, time], 1.0, 1.0)[:, None, None]
            drawn.append(symbol)
        emphasised = net.output.sound(torch.cat(drawn, 2)) if drawn else uniform[:, :1]
        sound, deemphasis = self.deemphasis.step(emphasised.to(x.dtype), deemphasis)
        return sound, (symbol, *deemphasis, *series, *layers)


class _Sound(Autoregressive):
    """Sound `(B, 1, T)` given conditioning: its log probability by sample, `(B, T)`, as symbols."""

    def __init__(self, decoder: VLAEDecoder, conditions: Tensor, time: int) -> None:
        wavenet = decoder.wavenet
        self._decoder, self._output = decoder, wavenet.output
        silence = wavenet.output.symbols(conditions.new_zeros(len(conditions), 1))

        def predict(symbols: Tensor) -> Distribution:
            past = torch.cat([silence, symbols[:, :-1]], 1)[:, None]
            return _Next(wavenet.output, wavenet(past, None, conditions)[0])

        super().__init__(predict, silence.expand(-1, time))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log probability of each sample given those before it."""
        emphasised, _ = self._decoder.emphasis(value)
        return super().log_prob(self._output.symbols(emphasised)[:, 0])

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = torch.Size()) -> Tensor:  # noqa: B008
        """Draw sound; `VLAEDecoder` draws it with less work."""
        sound: Tensor = self._decoder.deemphasis(self._output.sound(super().sample(sample_shape))[:, None])[0]
        return sound


class _Next(Distribution):
    """The distribution of symbols `(B, T)` by a WaveNet's output `(B, width, T)`."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, output: Output, numbers: Tensor) -> None:
        super().__init__(torch.Size([numbers.shape[0], numbers.shape[2]]), validate_args=False)
        self._output, self._numbers = output, numbers

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log probability of each."""
        return -self._output.bits(self._numbers, value) * math.log(2)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = torch.Size()) -> Tensor:  # noqa: B008
        """Draw one of each."""
        numbers = self._numbers.transpose(1, 2).flatten(0, 1)
        uniform = torch.rand(len(numbers), self._output.uniforms, dtype=numbers.dtype, device=numbers.device)
        return self._output.draw(numbers, uniform, 1.0, 1.0).reshape(self._batch_shape)


def _first(layers: Sequential) -> CausalConv1d:
    """Return the first convolution, also where it is within a nested composition."""
    layer = layers.layers[0]
    return _first(layer) if isinstance(layer, Sequential) else cast(CausalConv1d, layer)


def _fitting(z: Tensor, latents: int) -> Tensor:
    """Return latents as they are.

    Raises:
        ValueError: they are not as many as the model's.
    """
    if z.shape[1] != latents:
        raise ValueError(f"{z.shape[1]} latents: expected {latents}")
    return z
