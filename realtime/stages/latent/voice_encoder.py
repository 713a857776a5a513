"""A voice's encoder on one core, a frame at a time: from what the ear hears to the latents' means, by numba."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from gramophone.models.layers.vocoder_features import SCALE
from gramophone.models.nets import voice_features as ear
from gramophone.models.nets.voice import VoiceEncoder
from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.stages.latent import voice_layers as layers
from gramophone.realtime.stages.latent.voice_features import LiveVoiceFeatures
from gramophone.realtime.stages.latent.voice_layers import compiled, multiply

_F = np.float32


class SpeakerStatistics(NamedTuple):
    """The numbers of `Adaptation`."""

    bands: int
    scale: float
    memory: float
    faintest: float
    pause: float
    fade: float
    softening: float
    least_spread: float
    most: float


class VoiceEncoderWeights(NamedTuple):
    """Habits, and with `U` units of width `W`: `entry`, from frames to `W`, and `units`, from `W` to `W`.

    `mixes` `(U, W, W)` and `out` `(1, W, latents)` have a bias each.
    """

    statistics: SpeakerStatistics
    entry: layers.Layers
    units: layers.Layers
    mixes: Floats
    mix_bias: Floats
    out: Floats
    out_bias: Floats


class VoiceEncoderState(NamedTuple):
    """What is remembered: `used` `(2,)`, the loudest of late and a count of frames; moments; past. And room to work."""

    used: Floats
    means: Floats
    squares: Floats
    entry: layers.LayerState
    units: layers.LayerState
    path: Floats
    inner: Floats
    latents: Floats


class LiveVoiceEncoder:
    """Hops `(hop,)` to the means of their latents, `(latents,)`, `encoder.delay` frames late."""

    def __init__(self, encoder: VoiceEncoder) -> None:
        self._ear = LiveVoiceFeatures(encoder.features)
        self._weights = _weights_of(encoder)
        self._state = _state_of(self._weights, encoder)
        self._frame = 0
        self._looked_back = False
        self._compile(encoder)

    def hear(self, sound: Floats) -> Floats:
        """Return the next latents."""
        frame = self._ear.hear(sound)
        self.look_back()
        _understand(self._weights, self._state, self._frame, frame)
        self._frame, self._looked_back = self._frame + 1, False
        latents: Floats = self._state.latents[0].copy()
        return latents

    def look_back(self) -> None:
        """Do what can be done before the next hop is known; whoever does not ask for it gets it done in `hear`."""
        if not self._looked_back:
            _look_back(self._weights, self._state, self._frame)
            self._looked_back = True

    def _compile(self, encoder: VoiceEncoder) -> None:
        """Compile now, not later, and leave nothing of it behind."""
        self.hear(np.zeros(encoder.hop, np.float32))
        self._ear = LiveVoiceFeatures(encoder.features)
        self._state = _state_of(self._weights, encoder)
        self._frame, self._looked_back = 0, False


def _weights_of(encoder: VoiceEncoder) -> VoiceEncoderWeights:
    parts: list[Any] = list(encoder.layers.layers)
    bodies = [unit.layers[1].layers for unit in parts[1:-1]]
    latents = len(parts[-1].bias) // 2
    return VoiceEncoderWeights(
        statistics=_statistics_of(encoder.normalisation),
        entry=layers.layers_of([parts[0]]),
        units=layers.layers_of([body[1] for body in bodies]),
        mixes=packed(torch.cat([body[3].weight for body in bodies])),
        mix_bias=packed(torch.stack([body[3].bias for body in bodies])),
        out=packed(parts[-1].weight[:, :, :latents]),
        out_bias=packed(parts[-1].bias[:latents]),
    )


def _statistics_of(adaptation: ear.SpeakerNormalisation) -> SpeakerStatistics:
    return SpeakerStatistics(
        bands=adaptation.bands,
        scale=SCALE,
        memory=adaptation.memory,
        faintest=ear.FAINTEST,
        pause=ear.PAUSE,
        fade=ear.FADE,
        softening=ear.SOFTENING,
        least_spread=ear.LEAST_SPREAD,
        most=ear.MOST,
    )


def _state_of(weights: VoiceEncoderWeights, encoder: VoiceEncoder) -> VoiceEncoderState:
    """Return silence."""
    usual = torch.zeros(1, encoder.normalisation.channels, 0)
    loudest, frames, moments = encoder.normalisation.initial_state(usual)
    means, squares = moments[0, :, 0].chunk(2)
    width = weights.mixes.shape[1]
    return VoiceEncoderState(
        used=np.array([loudest.item(), frames.item()], np.float32),
        means=packed(means),
        squares=packed(squares),
        entry=layers.memory_of(weights.entry),
        units=layers.memory_of(weights.units),
        path=zeros(1, width),
        inner=zeros(1, width),
        latents=zeros(1, len(weights.out_bias)),
    )


@compiled
def _look_back(weights: VoiceEncoderWeights, state: VoiceEncoderState, now: int) -> None:
    """Work out what frames before frame `now` are to it."""
    layers.look_back(weights.entry, state.entry, now)
    layers.look_back(weights.units, state.units, now)


@compiled
def _understand(weights: VoiceEncoderWeights, state: VoiceEncoderState, now: int, frame: Floats) -> None:
    """Put the latents of frame `now`, as the ear hears it, into `state.latents`."""
    width = weights.mixes.shape[1]
    _adapt(weights.statistics, state, frame, state.entry.past, layers.place_of(weights.entry, 0, now))
    layers.finish(weights.entry, state.entry, 0, now)
    for i in range(width):
        state.path[0, i] = state.entry.known[0, i]
    for unit in range(len(weights.mixes)):
        place = layers.place_of(weights.units, unit, now)
        for i in range(width):
            state.units.past[place, i] = layers.leaky(state.path[0, i])
        layers.finish(weights.units, state.units, unit, now)
        for i in range(width):
            state.inner[0, i] = layers.leaky(state.units.known[unit, i])
            state.path[0, i] += weights.mix_bias[unit, i]
        multiply(state.path, 0, state.inner, 0, weights.mixes, unit)
    for i in range(state.latents.shape[1]):
        state.latents[0, i] = weights.out_bias[i]
    multiply(state.latents, 0, state.path, 0, weights.out, 0)


@compiled
def _adapt(statistics: SpeakerStatistics, state: VoiceEncoderState, frame: Floats, heard: Floats, row: int) -> None:
    """Write into a row of `heard` how a frame differs from what is usual, and get used to it."""
    level = _F(_level(statistics, frame))
    loudest = max(state.used[0] - _F(statistics.softening), level, _F(statistics.faintest))
    audible = min(max((level - loudest + _F(statistics.pause)) / _F(statistics.fade), _F(0)), _F(1))
    count = min(state.used[1] + audible, _F(statistics.memory))
    weight = audible / count
    for i in range(len(frame)):
        shape = frame[i] - level / _F(statistics.scale)
        state.means[i] += weight * (shape - state.means[i])
        state.squares[i] += weight * (shape * shape - state.squares[i])
        spread = math.sqrt(max(state.squares[i] - state.means[i] ** 2, _F(statistics.least_spread**2)))
        away = (shape - state.means[i]) / _F(spread)
        heard[row, i] = min(max(away, _F(-statistics.most)), _F(statistics.most)) * audible
    state.used[0], state.used[1] = loudest, count


@compiled
def _level(statistics: SpeakerStatistics, frame: Floats) -> Any:
    """Return the level of a frame in nats."""
    highest = frame[0]
    for i in range(statistics.bands):
        highest = max(highest, frame[i])
    total = 0.0
    for i in range(statistics.bands):
        total += math.exp(statistics.scale * (frame[i] - highest))
    return statistics.scale * highest + math.log(total / statistics.bands)
