"""A voice model's encoder on one core, frame by frame: features to the latents' means, by numba kernels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gramophone.models.units import LOG_MEL_SCALE
from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stages.latent import voice_layers as layers
from gramophone.realtime.stages.latent.voice_features import FeaturesPlan, extract, features_of
from gramophone.realtime.stages.latent.voice_layers import compiled, multiply

if TYPE_CHECKING:
    from gramophone.models.nets.voice import VoiceEncoder
    from gramophone.models.nets.voice_features import SpeakerNormalisation

_F = np.float32


class SpeakerStatistics(NamedTuple):
    """The constants of `SpeakerNormalisation`."""

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
    """The normalisation's constants; `entry`, features to width `W`; `U` units of width `W`.

    `mixes` `(U, W, W)` and `out` `(1, W, latents)` have a bias each.
    """

    statistics: SpeakerStatistics
    entry: layers.Layers
    units: layers.Layers
    mixes: Floats
    mix_bias: Floats
    out: Floats
    out_bias: Floats


class EncoderState(NamedTuple):
    """State: `levels` `(2,)`, the loudest level lately and a count of frames; running moments; the layers' past.

    `path`, `inner` and `output` are work space.
    """

    levels: Floats
    means: Floats
    squares: Floats
    entry: layers.LayerState
    units: layers.LayerState
    path: Floats
    inner: Floats
    output: Floats


class VoiceEncoderParts(NamedTuple):
    """What an encoder is bound to, from silence."""

    features: FeaturesPlan
    weights: VoiceEncoderWeights
    state: EncoderState


def encoder_parts(encoder: VoiceEncoder) -> VoiceEncoderParts:
    """Return what `LiveVoiceEncoder` takes of a model's encoder."""
    weights = _weights_of(encoder)
    return VoiceEncoderParts(features_of(encoder.features), weights, initial_state_of(weights, encoder.normalisation))


class LiveVoiceEncoder(layers.FrameByFrame):
    """Encodes hops `(hop,)` to the means of their latents, `(latents,)`, `encoder.delay` frames late."""

    def __init__(self, parts: VoiceEncoderParts) -> None:
        super().__init__(
            bind(add_past, (parts.weights, parts.state), 0), bind(_encode, tuple(parts), 0, parts.features.past)
        )
        self._output: Floats = parts.state.output[0]

    def encode(self, sound: Floats) -> Floats:
        """Return the latents of the next frame."""
        self.advance(sound)
        return self._output.copy()


def _weights_of(encoder: VoiceEncoder) -> VoiceEncoderWeights:
    import torch

    parts: list[Any] = list(encoder.layers.layers)
    bodies = [unit.layers[1].layers for unit in parts[1:-1]]
    latents = len(parts[-1].bias) // 2
    return VoiceEncoderWeights(
        statistics=statistics_of(encoder.normalisation),
        entry=layers.layers_of([parts[0]]),
        units=layers.layers_of([body[1] for body in bodies]),
        mixes=packed(torch.cat([body[3].weight for body in bodies])),
        mix_bias=packed(torch.stack([body[3].bias for body in bodies])),
        out=packed(parts[-1].weight[:, :, :latents]),
        out_bias=packed(parts[-1].bias[:latents]),
    )


def statistics_of(normalisation: SpeakerNormalisation) -> SpeakerStatistics:
    """Return the constants of a speaker normalisation."""
    from gramophone.models.nets import voice_features as features_module

    return SpeakerStatistics(
        bands=normalisation.bands,
        scale=LOG_MEL_SCALE,
        memory=normalisation.memory,
        faintest=features_module.FAINTEST,
        pause=features_module.PAUSE,
        fade=features_module.FADE,
        softening=features_module.SOFTENING,
        least_spread=features_module.LEAST_SPREAD,
        most=features_module.MOST,
    )


def initial_state_of(weights: Any, normalisation: SpeakerNormalisation) -> EncoderState:
    """Return the state of silence, by weights with the layers `entry` and `units`, `mixes` and `out_bias`."""
    import torch

    no_frames = torch.zeros(1, normalisation.channels, 0)
    loudest, frames, moments = normalisation.initial_state(no_frames)
    means, squares = moments[0, :, 0].chunk(2)
    width = weights.mixes.shape[1]
    return EncoderState(
        levels=np.array([loudest.item(), frames.item()], np.float32),
        means=packed(means),
        squares=packed(squares),
        entry=layers.initial_state(weights.entry),
        units=layers.initial_state(weights.units),
        path=zeros(1, width),
        inner=zeros(1, width),
        output=zeros(1, len(weights.out_bias)),
    )


@compiled
def add_past(bound: Any, now: int) -> None:
    """Add up what frames before frame `now` contribute to it; bound to weights and state of `entry` and `units`."""
    weights, state = contents(bound)
    layers.add_past(weights.entry, state.entry, now)
    layers.add_past(weights.units, state.units, now)


@compiled
def _encode(bound: Any, now: int, sound: Floats) -> None:
    """Compute the latents of frame `now`, given its hop of sound, into the state's output."""
    features, weights, state = contents(bound)
    extract(features, sound)
    frame = features.frame
    width = weights.mixes.shape[1]
    place = layers.slot_of(weights.entry, 0, now)
    normalise(weights.statistics, state.levels, state.means, state.squares, frame, state.entry.past, place)
    layers.add_newest(weights.entry, state.entry, 0, now)
    for i in range(width):
        state.path[0, i] = state.entry.sums[0, i]
    layers.add_units(weights.units, state.units, weights.mixes, weights.mix_bias, state.path, state.inner, now)
    for i in range(state.output.shape[1]):
        state.output[0, i] = weights.out_bias[i]
    multiply(state.output, 0, state.path, 0, weights.out, 0)


@compiled
def normalise(
    statistics: SpeakerStatistics,
    levels: Floats,
    means: Floats,
    squares: Floats,
    frame: Floats,
    normalised: Floats,
    row: int,
) -> Any:
    """Write a frame's normalised features into a row of `normalised`, and update the running statistics.

    Returns how far below the loudest level of late the frame lies, in nats, 0 or less.
    """
    level = _F(level_of(statistics, frame))
    loudest = max(levels[0] - _F(statistics.softening), level, _F(statistics.faintest))
    audible = min(max((level - loudest + _F(statistics.pause)) / _F(statistics.fade), _F(0)), _F(1))
    count = min(levels[1] + audible, _F(statistics.memory))
    weight = audible / count
    for i in range(len(frame)):
        shape = frame[i] - level / _F(statistics.scale)
        means[i] += weight * (shape - means[i])
        squares[i] += weight * (shape * shape - squares[i])
        spread = math.sqrt(max(squares[i] - means[i] ** 2, _F(statistics.least_spread**2)))
        away = (shape - means[i]) / _F(spread)
        normalised[row, i] = min(max(away, _F(-statistics.most)), _F(statistics.most)) * audible
    levels[0], levels[1] = loudest, count
    return level - loudest


@compiled
def level_of(statistics: SpeakerStatistics, frame: Floats) -> Any:
    """Return the level of a frame in nats."""
    highest = frame[0]
    for i in range(statistics.bands):
        highest = max(highest, frame[i])
    total = 0.0
    for i in range(statistics.bands):
        total += math.exp(statistics.scale * (frame[i] - highest))
    return statistics.scale * highest + math.log(total / statistics.bands)
