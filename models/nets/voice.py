"""The voice: a VAE whose latents say what is sung, and whose decoder sings it as someone, or something, else.

The encoder hears how the spectrum differs from what the voice is usually like, and is trained not to tell whose it is.
The decoder is told pitch, voicing, loudness and the speaker, and drives harmonics and noise (Engel et al. 2020, DDSP).
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
from gramophone.models.nets.voice_features import (
    FINE,
    FINE_BANDS,
    SILENCE,
    Loudness,
    SpeakerNormalisation,
    VoiceFeatures,
)

MIDDLE_HZ = 160.0
"""Pitch is told in octaves above this."""
USUAL_PITCH = "pitch_hz"
"""Under this a voice's card notes its speakers' median pitch in Hz, by name."""
PROSODY = 3
"""Pitch in octaves above `MIDDLE_HZ`, voicing from 0 to 1, loudness in nats."""
COLOUR = 3
"""Formants up by so many octaves, noise louder by so many nats, spectrum brighter by so many nats per octave."""
SOUNDING = 6
"""Tensors of the decoder's state behind those of its network."""
_TILT_HZ = 1000.0
_OCTAVE = math.log(2)
_VOICED = 0.05
"""Below this there is no tone: the next one begins at a pitch of its own, not gliding from the last."""
_LOUDEST = 2.0
_SOFTEST = 1e-7


@dataclass(frozen=True)
class VoiceShape:
    """What a voice is made of.

    The encoder hears `bands` mel bands of frames of `hop` samples at `rate` Hz, in `units` residual units of `width`
    channels, and gives `latents` a frame; frame `m` of them is of hop `m - ahead`. The decoder has `layers` gated
    layers of `channels`, told one of `speakers` by a vector of `speaker`, and drives `harmonics` and noise in
    `noise_bands`, `grains` times a hop, by envelopes of `points` and `noise_points`.
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
        """The dilation of each of the decoder's layers: 1, 2, 4, 8 and again."""
        return tuple(2 ** (layer % 4) for layer in range(self.layers))

    @property
    def envelopes(self) -> int:
        """How many numbers the decoder's network gives a frame."""
        return self.points + self.grains * self.noise_points


class Voice(VAE):
    """Sound `(B, 1, T)`, -1 to 1, `T` whole hops; latents `(B, latents, T / hop)`, frame `m` of them that of hop `m`.

    `given` are the speaker's vector, `(B, speaker)`, and the prosody, `(B, PROSODY, T / hop)`. The `encoder` is late by
    `encoder.delay` frames, and so is `loudness`; the decoder is not.
    """

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.shape = shape
        self.table = nn.Parameter(torch.randn(shape.speakers, shape.speaker) / shape.speaker**0.5)
        self.encoder = VoiceEncoder(shape)
        self.decoder = VoiceDecoder(shape)
        # Known one frame late at the earliest: where less is waited for, it is of a little before.
        self.loudness = Sequential(Loudness(shape.hop), Delay(max(shape.ahead - 1, 0)))

    @property
    def delay(self) -> int:
        """The latency of encoder and decoder together, in samples."""
        return self.encoder.delay * self.shape.hop

    def speaker(self, weights: Tensor) -> Tensor:
        """Return the vector of a blend of the known speakers, by weights: `(B, speakers)` -> `(B, speaker)`."""
        return weights @ self.table

    def posterior(self, x: Tensor, *given: Tensor) -> Distribution:
        """Return a Gaussian for each latent of each frame; the encoder's delay is taken out.

        Raises:
            ValueError: the sound is no whole number of hops.
        """
        shapes, _ = self.encoder.adaptation(self.heard(x))
        return gaussian(self.encoder.layers(shapes)[0][:, :, self.encoder.delay :])

    def loudness_of(self, x: Tensor) -> Tensor:
        """Return the loudness of a whole sound at the end of each hop, `(B, 1, T / hop)`."""
        return cast(Tensor, self.loudness(F.pad(x, (0, self.delay)))[0][:, :, self.encoder.delay :])

    def heard(self, x: Tensor) -> Tensor:
        """Return the frames that the ear gives of a whole sound and the silence after it.

        Raises:
            ValueError: the sound is no whole number of hops.
        """
        if not x.shape[2] or x.shape[2] % self.shape.hop:
            raise ValueError(f"a sound of {x.shape[2]} samples: expected a multiple of the hop {self.shape.hop}")
        return cast(Tensor, self.encoder.ear(F.pad(x, (0, self.delay)))[0])

    def conditional(self, z: Tensor, *given: Tensor) -> Distribution:
        """Return the distribution of sound; a frame weighs as much as a distance of 1."""
        sound, _ = self.decoder(z, None, *given)
        return Spectra(sound, z.shape[2])


def arrange(voice: Voice, arrangement: LatentOrder) -> None:
    """Put the latents in another order, some turned round; to sound it makes no difference."""
    arrangement.give(cast(CausalConv1d, voice.encoder.layers.layers[-1]))
    arrangement.take(voice.decoder.network.entry.weight[:, : voice.shape.latents], 1)


class VoiceEncoder(Streaming):
    """Sound `(B, 1, T)` -> means and log scales of latents, `(B, 2 * latents, T / hop)`."""

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.hop, self.delay = shape.hop, shape.ahead
        self.ear = VoiceFeatures(shape.rate, shape.hop, shape.bands)
        self.adaptation = SpeakerNormalisation(shape.bands, FINE * FINE_BANDS)
        self.layers = Sequential(
            CausalConv1d(shape.bands + FINE * FINE_BANDS, shape.width, 3),
            *(residual_unit(shape.width, 3, 2**unit) for unit in range(shape.units)),
            CausalConv1d(shape.width, 2 * shape.latents, 1),
        )

    def initial_state(self, x: Tensor) -> State:
        """Silence before."""
        state = self.ear.initial_state(x)
        frames, _ = self.ear.step(x[:, :, :0], state)
        return *state, *self.adaptation.initial_state(frames), *self.layers.initial_state(frames)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Encode one chunk."""
        frames, heard = self.ear.step(x, state[:2])
        shapes, accustomed = self.adaptation.step(frames, state[2:5])
        numbers, known = self.layers.step(shapes, state[5:])
        return numbers, (*heard, *accustomed, *known)


class VoiceDecoder(Streaming):
    """Latents `(B, latents, n)` -> sound `(B, 1, n * hop)`, delay 0.

    Controls: the speaker's vector `(B, speaker)`, the prosody `(B, PROSODY, n)` at the end of each frame's hop, and, if
    wanted, the colour `(B, COLOUR)`. State: the network's, the loudness so far, then those of harmonics and noise; the
    last of it is the place in the noise.
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
        """Sing one chunk."""
        speaker, prosody, *rest = controls
        colour = rest[0] if rest else x.new_zeros(x.shape[0], COLOUR)
        layers = len(state) - SOUNDING
        envelopes, network = self.network.step(x, state[:layers], speaker, prosody)
        sound, sung = self.sing(envelopes, state[layers:], prosody, colour)
        return sound, (*network, *sung)

    def sing(self, envelopes: Tensor, state: State, prosody: Tensor, colour: Tensor) -> tuple[Tensor, State]:
        """Return the sound of the network's envelopes, and the last `SOUNDING` tensors of the state."""
        octaves, voicing, loudness = prosody.chunk(PROSODY, 1)
        strong, noisy = envelopes[:, : self.shape.points], envelopes[:, self.shape.points :]
        hz = MIDDLE_HZ * (octaves * _OCTAVE).exp() * (voicing > _VOICED)
        tone, sung = self.harmonics.step(self._strengths(strong, hz, voicing, colour), state[1:4], hz)
        breath, blown = self.noise.step(self._magnitudes(noisy, colour), state[4:])
        gain, kept = self._gain(loudness, state[0])
        return (tone + breath) * gain, (kept, *sung, *blown)

    def _strengths(self, envelope: Tensor, hz: Tensor, voicing: Tensor, colour: Tensor) -> Tensor:
        """Return the strength of each harmonic, `(B, K, n)`: fewer ones, as of a high voice, are stronger."""
        partials = hz * self.harmonics.numbers[:, None]
        return self._coloured(envelope, partials, colour) * voicing * (hz / MIDDLE_HZ).sqrt()

    def _magnitudes(self, envelopes: Tensor, colour: Tensor) -> Tensor:
        """Return the magnitudes of the noise of each grain, `(B, bands, n * grains)`."""
        batch, _, frames = envelopes.shape
        grains = envelopes.reshape(batch, self.shape.grains, self.shape.noise_points, frames)
        series = grains.permute(0, 2, 3, 1).flatten(2)
        hz = self.noise_hz[:, None].expand(batch, -1, frames * self.shape.grains)
        return self._coloured(series, hz, colour) * colour[:, 1, None, None].exp()

    def _coloured(self, envelope: Tensor, hz: Tensor, colour: Tensor) -> Tensor:
        """Return an envelope at frequencies, its formants moved and its spectrum tilted."""
        formants, _, tilt = colour[:, :, None, None].unbind(1)
        value = _positive(read(envelope, hz * (formants * -_OCTAVE).exp(), self.shape.rate / 2))
        return value * (tilt * (hz.clamp_min(1) / _TILT_HZ).log2()).exp()

    def _gain(self, loudness: Tensor, old: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the sound is multiplied by, `(B, 1, n * hop)`: nothing at all for silence."""
        gain = (loudness.exp() - math.exp(SILENCE)).clamp_min(0)
        known = torch.cat([old, gain], 2)
        glide = torch.lerp(known[:, :, :-1, None], known[:, :, 1:, None], self.ramp.to(gain.dtype))
        return glide.flatten(2), known[:, :, -1:].clone()


class VoiceDecoderNetwork(Streaming):
    """Latents -> envelopes, `(B, latents, n)` -> `(B, envelopes, n)`, for a speaker and a prosody (the controls)."""

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
        """Zeros: nothing has been said."""
        like = x.new_zeros(x.shape[0], self.shape.channels, 0)
        return tuple(tensor for gate in self.gates for tensor in cast(Streaming, gate).initial_state(like))

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the envelopes of one chunk."""
        speaker, prosody = controls
        octaves, voicing, loudness = prosody.chunk(PROSODY, 1)
        told = torch.cat([x, octaves * voicing, voicing, loudness.clamp_min(SILENCE) / 3 + 1], 1)
        path = self.entry(told.transpose(1, 2))
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
    """Return the exponentiated sigmoid of DDSP: positive, within reach of both loud and soft."""
    return _LOUDEST * torch.sigmoid(x) ** 2.3026 + _SOFTEST
