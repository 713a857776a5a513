"""The voice: a streaming VAE for voice conversion, with a source-filter decoder (DDSP, Engel et al. 2020).

The encoder maps log-mel frames, normalised by speaker, to latents that carry the content and, by training, not the
speaker. The decoder, conditioned on the speaker's vector, pitch, voicing and loudness, predicts the spectral envelopes
of a bank of harmonics and of filtered noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from gramophone.models.layers.composition import Delay, Sequential
from gramophone.models.layers.convolution import CausalConv1d
from gramophone.models.layers.envelope import read
from gramophone.models.layers.harmonics import HarmonicBank
from gramophone.models.layers.noise import NoiseBank
from gramophone.models.layers.spectral_loss import Spectra
from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.nets.decoder import residual_unit
from gramophone.models.nets.latent_order import LatentOrder
from gramophone.models.nets.vae import VAE, gaussian
from gramophone.models.nets.voice_features import FINE, FINE_BANDS, Loudness, SpeakerNormalisation, VoiceFeatures
from gramophone.models.units import COLOUR, MIDDLE_HZ, PROSODY, SILENCE

SYNTHESIS_STATE = 6
"""Tensors of the decoder's state after those of its network."""
_TILT_HZ = 1000.0
_OCTAVE = math.log(2)
_VOICED = 0.05
"""Voicing below this is unvoiced: the next voiced frame starts at its own pitch, without a glide from the last."""
_LOUDEST = 2.0
_SOFTEST = 1e-7


@dataclass(frozen=True)
class VoiceShape:
    """Hyperparameters of a voice.

    The encoder reads `bands` mel bands, a frame every `hop` samples at `rate` Hz, and has `units` residual units of
    `width` channels; it gives `latents` numbers a frame, with a look-ahead of `ahead` frames. The decoder has `layers`
    gated layers of `channels`, conditioned on one of `speakers` by a vector of width `speaker`. It predicts envelopes
    of `points` values for `harmonics`, and of `noise_points` for noise in `noise_bands`, `grains` times a hop.
    """

    rate: int = 16_000
    hop: int = 128
    ahead: int = 2
    bands: int = 64
    width: int = 128
    units: int = 4
    latents: int = 12
    layers: int = 6
    channels: int = 160
    speakers: int = 1
    speaker: int = 64
    harmonics: int = 48
    points: int = 64
    noise_bands: int = 33
    noise_points: int = 32
    grains: int = 4

    @property
    def dilations(self) -> tuple[int, ...]:
        """The dilation of each of the decoder's layers: 1, 2, 4, 8, repeated."""
        return tuple(2 ** (layer % 4) for layer in range(self.layers))

    @property
    def envelopes(self) -> int:
        """Channels of the decoder network's output."""
        return self.points + self.grains * self.noise_points


class Voice(VAE):
    """Sound `[B, 1, T]`, -1 to 1, `T` whole hops; latents `[B, latents, T / hop]`, one frame a hop.

    The conditioning `given` is the speaker's vector `[B, speaker]` and the prosody `[B, PROSODY, T / hop]`. Streaming,
    `encoder` and `loudness` have a delay of `encoder.delay` frames, the decoder has none.
    """

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.shape = shape
        self.table = nn.Parameter(torch.randn(shape.speakers, shape.speaker) / shape.speaker**0.5)
        self.encoder = VoiceEncoder(shape)
        self.decoder = VoiceDecoder(shape)
        # Loudness has a delay of one frame at least: with less look-ahead it lags by that much.
        self.loudness = Sequential(Loudness(shape.hop), Delay(max(shape.ahead - 1, 0)))

    @property
    def delay(self) -> int:
        """The latency of encoder and decoder together, in samples."""
        return self.encoder.delay * self.shape.hop

    def speaker(self, weights: Tensor) -> Tensor:
        """Return the vector of a blend of the speakers, by weights: `[B, speakers]` -> `[B, speaker]`."""
        return weights @ self.table

    def posterior(self, x: Tensor, *given: Tensor) -> Distribution:
        """Return a Gaussian for each latent of each frame, the encoder's delay taken out.

        Raises:
            ValueError: the sound is not a whole number of hops.
        """
        frames, _ = self.encoder.normalisation(self.features(x))
        return gaussian(self.encoder.layers(frames)[0][:, :, self.encoder.delay :])

    def loudness_of(self, x: Tensor) -> Tensor:
        """Return the loudness of a whole sound at the end of each hop, `[B, 1, T / hop]`, in nats."""
        return cast(Tensor, self.loudness(F.pad(x, (0, self.delay)))[0][:, :, self.encoder.delay :])

    def features(self, x: Tensor) -> Tensor:
        """Return log-mel frames `[B, channels, T / hop + delay]` of a whole sound and the silence after it.

        Raises:
            ValueError: the sound is not a whole number of hops.
        """
        if not x.shape[2] or x.shape[2] % self.shape.hop:
            raise ValueError(f"a sound of {x.shape[2]} samples: expected a multiple of the hop {self.shape.hop}")
        return cast(Tensor, self.encoder.features(F.pad(x, (0, self.delay)))[0])

    def conditional(self, z: Tensor, *given: Tensor) -> Distribution:
        """Return the distribution of sound; a spectral distance of 1 costs 1 nat per frame."""
        sound, _ = self.decoder(z, None, *given)
        return Spectra(sound, z.shape[2])


def arrange(voice: Voice, arrangement: LatentOrder) -> None:
    """Reorder the latents and flip the signs of some; the reconstruction stays the same."""
    arrangement.give(cast(CausalConv1d, voice.encoder.layers.layers[-1]))
    arrangement.take(voice.decoder.network.entry.weight[:, : voice.shape.latents], 1)


class VoiceEncoder(Streaming):
    """Sound `[B, 1, T]` -> means and log scales of latents, `[B, 2 * latents, T / hop]`.

    State: two tensors of the features, three of the normalisation, then the layers'.
    """

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.hop, self.delay = shape.hop, shape.ahead
        self.features = VoiceFeatures(shape.rate, shape.hop, shape.bands)
        self.normalisation = SpeakerNormalisation(shape.bands, FINE * FINE_BANDS)
        self.layers = Sequential(
            CausalConv1d(shape.bands + FINE * FINE_BANDS, shape.width, 3),
            *(residual_unit(shape.width, 3, 2**unit) for unit in range(shape.units)),
            CausalConv1d(shape.width, 2 * shape.latents, 1),
        )
        self.register_load_state_dict_pre_hook(_with_present_name)  # type: ignore[no-untyped-call]

    def initial_state(self, x: Tensor) -> State:
        """Return the state after silence."""
        state = self.features.initial_state(x)
        frames, _ = self.features.step(x[:, :, :0], state)
        return *state, *self.normalisation.initial_state(frames), *self.layers.initial_state(frames)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Encode one chunk."""
        frames, features = self.features.step(x, state[:2])
        frames, normalisation = self.normalisation.step(frames, state[2:5])
        numbers, layers = self.layers.step(frames, state[5:])
        return numbers, (*features, *normalisation, *layers)


def _with_present_name(_module: nn.Module, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Accept weights that were saved when `normalisation` was called `adaptation`."""
    old = [name for name in weights if name.startswith(f"{prefix}adaptation.")]
    for name in old:
        weights[f"{prefix}normalisation.{name.removeprefix(f'{prefix}adaptation.')}"] = weights.pop(name)


class VoiceDecoder(Streaming):
    """Latents `[B, latents, n]` -> sound `[B, 1, n * hop]`, delay 0.

    Controls: the speaker's vector `[B, speaker]`, the prosody `[B, PROSODY, n]` at the end of each frame's hop, and
    optionally the colour `[B, COLOUR]`. State: the network's, the last gain, then those of harmonics and noise; its
    last tensor is the position in the noise.
    """

    ramp: Tensor
    noise_hz: Tensor

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.shape = shape
        self.up = shape.hop
        self.network = VoiceDecoderNetwork(shape)
        self.harmonics = HarmonicBank(shape.rate, shape.hop, shape.harmonics)
        self.noise = NoiseBank(shape.hop // shape.grains, shape.noise_bands)
        hz = torch.linspace(0, shape.rate / 2, shape.noise_bands)
        self.register_buffer("noise_hz", hz, persistent=False)
        self.register_buffer("ramp", torch.arange(1, shape.hop + 1) / shape.hop, persistent=False)

    def initial_state(self, x: Tensor) -> State:
        """Silence."""
        return (
            *self.network.initial_state(x),
            x.new_zeros(x.shape[0], 1, 1),
            *self.harmonics.initial_state(x),
            *self.noise.initial_state(x),
        )

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Decode one chunk."""
        speaker, prosody, *rest = controls
        colour = rest[0] if rest else x.new_zeros(x.shape[0], COLOUR)
        layers = len(state) - SYNTHESIS_STATE
        envelopes, network = self.network.step(x, state[:layers], speaker, prosody)
        sound, synthesis = self.synthesise(envelopes, state[layers:], prosody, colour)
        return sound, (*network, *synthesis)

    def synthesise(self, envelopes: Tensor, state: State, prosody: Tensor, colour: Tensor) -> tuple[Tensor, State]:
        """Return the sound `[B, 1, n * hop]` of envelopes `[B, envelopes, n]`, and the state after it.

        The state is the last `SYNTHESIS_STATE` tensors of the decoder's.
        """
        octaves, voicing, loudness = prosody.chunk(PROSODY, 1)
        strong, noisy = envelopes[:, : self.shape.points], envelopes[:, self.shape.points :]
        # In double: the last digit of a pitch, which other libraries round otherwise, adds up in the phase.
        hz = (MIDDLE_HZ * (octaves.double() * _OCTAVE).exp()).to(octaves) * (voicing > _VOICED)
        tone, harmonics = self.harmonics.step(self._strengths(strong, hz, voicing, colour), state[1:4], hz)
        breath, noise = self.noise.step(self._magnitudes(noisy, colour), state[4:])
        gain, kept = self._gain(loudness, state[0])
        return (tone + breath) * gain, (kept, *harmonics, *noise)

    def _strengths(self, envelope: Tensor, hz: Tensor, voicing: Tensor, colour: Tensor) -> Tensor:
        """Return the amplitude of each harmonic, `[B, K, n]`, raised with the pitch: a high voice has fewer of them."""
        partials = hz * self.harmonics.numbers[:, None]
        return self._coloured(envelope, partials, colour) * voicing * (hz / MIDDLE_HZ).sqrt()

    def _magnitudes(self, envelopes: Tensor, colour: Tensor) -> Tensor:
        """Return the magnitudes of the noise in each grain, `[B, bands, n * grains]`."""
        batch, _, frames = envelopes.shape
        grains = envelopes.reshape(batch, self.shape.grains, self.shape.noise_points, frames)
        series = grains.permute(0, 2, 3, 1).flatten(2)
        hz = self.noise_hz[:, None].expand(batch, -1, frames * self.shape.grains)
        return self._coloured(series, hz, colour) * colour[:, 1, None, None].exp()

    def _coloured(self, envelope: Tensor, hz: Tensor, colour: Tensor) -> Tensor:
        """Return an envelope at frequencies in Hz, with formants shifted and the spectrum tilted."""
        formants, _, tilt = colour[:, :, None, None].unbind(1)
        value = _positive(read(envelope, hz * (formants * -_OCTAVE).exp(), self.shape.rate / 2))
        return value * (tilt * (hz.clamp_min(1) / _TILT_HZ).log2()).exp()

    def _gain(self, loudness: Tensor, old: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gain of each sample, `[B, 1, n * hop]`, 0 in silence, and the last frame's gain."""
        gain = (loudness.exp() - math.exp(SILENCE)).clamp_min(0)
        known = torch.cat([old, gain], 2)
        glide = torch.lerp(known[:, :, :-1, None], known[:, :, 1:, None], self.ramp.to(gain.dtype))
        return glide.flatten(2), known[:, :, -1:].clone()


class VoiceDecoderNetwork(Streaming):
    """Latents `[B, latents, n]` -> envelopes `[B, envelopes, n]`, delay 0.

    Gated dilated convolutions with skip connections, as in WaveNet. Controls: speaker `[B, speaker]`, prosody `[B,
    PROSODY, n]`.
    """

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.shape = shape
        channels = shape.channels
        self.entry = nn.Linear(shape.latents + PROSODY, channels)
        self.gates = nn.ModuleList(CausalConv1d(channels, 2 * channels, 3, dilation) for dilation in shape.dilations)
        self.exits = nn.ModuleList(nn.Linear(channels, 2 * channels) for _ in shape.dilations)
        self.biases = nn.Linear(shape.speaker, shape.layers * 2 * channels)
        self.head = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(channels, channels), nn.LeakyReLU(0.2))
        self.out = nn.Linear(channels, shape.envelopes)
        nn.init.constant_(self.out.bias[: shape.points], -1.0)
        nn.init.constant_(self.out.bias[shape.points :], -2.0)

    def initial_state(self, x: Tensor) -> State:
        """Return the state after zeros."""
        like = x.new_zeros(x.shape[0], self.shape.channels, 0)
        return tuple(tensor for gate in self.gates for tensor in cast(Streaming, gate).initial_state(like))

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the envelopes of one chunk."""
        speaker, prosody = controls
        octaves, voicing, loudness = prosody.chunk(PROSODY, 1)
        inputs = torch.cat([x, octaves * voicing, voicing, loudness.clamp_min(SILENCE) / 3 + 1], 1)
        path = self.entry(inputs.transpose(1, 2))
        biases = self.biases(speaker).reshape(len(speaker), self.shape.layers, -1)
        skips, after = torch.zeros_like(path), list[Tensor]()
        for layer, (gate, exit_) in enumerate(zip(self.gates, self.exits, strict=True)):
            both, past = cast(Streaming, gate).step(path.transpose(1, 2), state[layer : layer + 1])
            tanh, sigmoid = (both.transpose(1, 2) + biases[:, layer, None]).chunk(2, 2)
            further, skip = exit_(torch.tanh(tanh) * torch.sigmoid(sigmoid)).chunk(2, 2)
            path, skips = path + further, skips + skip
            after += past
        return self.out(self.head(skips)).transpose(1, 2), tuple(after)


def _positive(x: Tensor) -> Tensor:
    """Return DDSP's exponentiated sigmoid: positive, with a range from soft to loud."""
    return _LOUDEST * torch.sigmoid(x) ** 2.3026 + _SOFTEST
