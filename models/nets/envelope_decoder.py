"""Sound from an envelope, a pitch and a loudness, without learning: harmonics and noise under one spectral envelope.

What WORLD's synthesis does (Morise, Yokomori and Ozawa 2016), made of the streaming layers of the voices' decoder: the
power at each frequency is divided between the harmonics and the noise by how breathy the frame is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gramophone.models.layers.envelope import read
from gramophone.models.layers.harmonics import HarmonicBank
from gramophone.models.layers.noise import NoiseBank
from gramophone.models.layers.streaming import State, Streaming

_KNEE_HZ = 3000.0
_QUIETEST_BREATH_DB = -60.0
_HARMONIC_STATES = 3


@dataclass(frozen=True)
class EnvelopeDecoderShape:
    """Envelopes of `points` evenly spaced in mel, a frame each `hop` samples; `noise_bands` of the noise's filter."""

    rate: int = 16_000
    hop: int = 128
    points: int = 48
    harmonics: int = 120
    noise_bands: int = 65


class EnvelopeDecoder(Streaming):
    """Envelopes `(B, points + 1, n)` -> sound `(B, 1, n * hop)`, delay 0; a frame is reached at the end of its hop.

    The points are natural logarithms of power per Hz, up to any factor; the last channel is the share of noise in the
    amplitude at 3 kHz, in dB, which falls to -60 dB at 0 Hz and rises to 0 dB at half the rate. Controls: the pitch in
    Hz `(B, 1, n)`, 0 where nothing is voiced, and the RMS of each frame `(B, 1, n)`.
    """

    noise_hz: Tensor
    grid_hz: Tensor

    def __init__(self, shape: EnvelopeDecoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.up = shape.hop
        self.harmonics = HarmonicBank(shape.rate, shape.hop, shape.harmonics)
        self.noise = NoiseBank(shape.hop, shape.noise_bands)
        self.register_buffer("noise_hz", torch.linspace(0, shape.rate / 2, shape.noise_bands), persistent=False)

    def initial_state(self, x: Tensor) -> State:
        """Silence."""
        return *self.harmonics.initial_state(x), *self.noise.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Decode one chunk."""
        hz, loudness = controls
        envelope, breath = x[:, :-1], x[:, -1:]
        noise_hz = self.noise_hz[:, None].expand(x.shape[0], -1, x.shape[2])
        level = loudness / self._rms(envelope, noise_hz)
        partials = hz * self.harmonics.numbers[:, None]
        voiced = (hz > 0).to(x)
        strength = (2 * hz).sqrt() * level * self._amplitude(envelope, partials)
        strength = strength * (1 - self._noisiness(breath, partials).square()).sqrt() * (partials < self.shape.rate / 2)
        tone, harmonic = self.harmonics.step(strength, state[:_HARMONIC_STATES], hz)
        noisy = torch.where(voiced > 0, self._noisiness(breath, noise_hz), torch.ones_like(noise_hz))
        magnitude = (self.shape.rate / 2) ** 0.5 * level * self._amplitude(envelope, noise_hz) * noisy
        hiss, noise = self.noise.step(magnitude, state[_HARMONIC_STATES:])
        return tone + hiss, (*harmonic, *noise)

    def _amplitude(self, envelope: Tensor, hz: Tensor) -> Tensor:
        """Return the square root of the power per Hz at frequencies `(B, M, n)`."""
        return (read(envelope, hz, self.shape.rate / 2) / 2).exp()

    def _rms(self, envelope: Tensor, hz: Tensor) -> Tensor:
        """Return the RMS of sound with such an envelope, `(B, 1, n)`."""
        power = self._amplitude(envelope, hz).square().mean(1, keepdim=True) * (self.shape.rate / 2)
        return power.clamp_min(1e-20).sqrt()

    def _noisiness(self, breath: Tensor, hz: Tensor) -> Tensor:
        """Return the share of noise in the amplitude at frequencies `(B, M, n)`, 0 to 1."""
        below = _QUIETEST_BREATH_DB + (breath - _QUIETEST_BREATH_DB) * hz / _KNEE_HZ
        above = breath * (1 - (hz - _KNEE_HZ) / (self.shape.rate / 2 - _KNEE_HZ)).clamp_min(0)
        decibels = torch.where(hz < _KNEE_HZ, below, above).clamp(_QUIETEST_BREATH_DB, 0)
        return torch.pow(10.0, decibels / 20)
