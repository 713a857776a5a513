"""The content encoder on one core, frame by frame: sound to what is said, by numba kernels.

The same as `models.nets.content.ContentEncoder` computes in torch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, packed, packed_weights
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stages.latent import voice_layers as layers
from gramophone.realtime.stages.latent.voice_encoder import (
    EncoderState,
    SpeakerStatistics,
    add_past,
    initial_state_of,
    normalise,
    statistics_of,
)
from gramophone.realtime.stages.latent.voice_features import FeaturesPlan, extract, features_of
from gramophone.realtime.stages.latent.voice_layers import compiled, multiply

if TYPE_CHECKING:
    from gramophone.models.layers.composition import Sequential
    from gramophone.models.nets.content import ContentEncoder

_F = np.float32
_ROOT_HALF = math.sqrt(0.5)


class TrunkWeights(NamedTuple):
    """A network of `causal_trunk`: `entry`, frames to width `W`; `U` units of width `W`.

    `mixes` `(U, W, W)` and `out` `(1, W, D)` have a bias each.
    """

    entry: layers.Layers
    units: layers.Layers
    mixes: Floats
    mix_bias: Floats
    out: Floats
    out_bias: Floats


class NormalisationWeights(NamedTuple):
    """The normalisation's constants, and of the level: centre, scale and least value."""

    statistics: SpeakerStatistics
    level: Floats


class ContentEncoderParts(NamedTuple):
    """What an encoder is bound to, from silence; its output is `delay` frames late."""

    delay: int
    features: FeaturesPlan
    normalisation: NormalisationWeights
    weights: TrunkWeights
    state: EncoderState


def encoder_parts(encoder: ContentEncoder, quick: bool = False) -> ContentEncoderParts:
    """Return what `LiveContentEncoder` takes of a model's encoder, which waits for its `ahead` or, `quick`, `early`."""
    shape = encoder.shape
    weights = trunk_weights(encoder.trunk, slice(shape.content, None) if quick else slice(shape.content))
    return ContentEncoderParts(
        shape.early if quick else shape.ahead,
        features_of(encoder.features),
        _normalisation_of(encoder),
        weights,
        initial_state_of(weights, encoder.normalisation),
    )


class LiveContentEncoder(layers.FrameByFrame):
    """Encodes hops `(hop,)` to content `(D,)`, `delay` frames late."""

    def __init__(self, parts: ContentEncoderParts) -> None:
        self.delay, features, normalisation, weights, state = parts
        encode = bind(_encode, (features, normalisation, weights, state), 0, features.past)
        super().__init__(bind(add_past, (weights, state), 0), encode)
        self._output: Floats = state.output[0]

    def encode(self, sound: Floats) -> Floats:
        """Return the content of the next frame."""
        self.advance(sound)
        return self._output.copy()


def _normalisation_of(encoder: ContentEncoder) -> NormalisationWeights:
    from gramophone.models.nets.content import LEVEL_CENTRE, LEVEL_LEAST, LEVEL_SCALE

    level = np.array([LEVEL_CENTRE, LEVEL_SCALE, LEVEL_LEAST], np.float32)
    return NormalisationWeights(statistics_of(encoder.normalisation), level)


def trunk_weights(trunk: Sequential, said: slice = slice(None)) -> TrunkWeights:
    """Return the weights of a network of `causal_trunk`; of its outputs those in `said`."""
    import torch

    parts: list[Any] = list(trunk.layers)
    bodies = [part.layers[1].layers for part in parts[2:-1]]
    return TrunkWeights(
        entry=layers.layers_of([parts[0]]),
        units=layers.layers_of([body[0] for body in bodies]),
        mixes=packed_weights(torch.cat([body[2].weight for body in bodies])),
        mix_bias=packed(torch.stack([body[2].bias for body in bodies])),
        out=packed_weights(parts[-1].weight[:, :, said]),
        out_bias=packed(parts[-1].bias[said]),
    )


@compiled
def _encode(bound: Any, now: int, sound: Floats) -> None:
    """Compute the content of frame `now`, given its hop of sound, into the state's output."""
    features, normalisation, weights, state = contents(bound)
    extract(features, sound)
    frame = features.frame
    place, past, level = layers.slot_of(weights.entry, 0, now), state.entry.past, normalisation.level
    below = normalise(normalisation.statistics, state.levels, state.means, state.squares, frame, past, place)
    past[place, len(frame)] = max((below - level[0]) / level[1], level[2])
    run_trunk(weights, state, now)


@compiled
def run_trunk(weights: Any, state: Any, now: int) -> None:
    """Compute a network of `causal_trunk` for frame `now`, whose inputs are in the past of `entry`, into the output."""
    width = weights.mixes.shape[1]
    layers.add_newest(weights.entry, state.entry, 0, now)
    for i in range(width):
        state.path[0, i] = _gelu(state.entry.sums[0, i])
    for unit in range(len(weights.mixes)):
        place = layers.slot_of(weights.units, unit, now)
        for i in range(width):
            state.units.past[place, i] = state.path[0, i]
        layers.add_newest(weights.units, state.units, unit, now)
        for i in range(width):
            state.inner[0, i] = _gelu(state.units.sums[unit, i])
            state.path[0, i] += weights.mix_bias[unit, i]
        multiply(state.path, 0, state.inner, 0, weights.mixes, unit)
    for i in range(state.output.shape[1]):
        state.output[0, i] = weights.out_bias[i]
    multiply(state.output, 0, state.path, 0, weights.out, 0)


@jit
def _gelu(x: Any) -> Any:
    """Return the Gaussian error linear unit of `x` (Hendrycks and Gimpel 2016)."""
    return _F(x * 0.5 * (1.0 + math.erf(x * _ROOT_HALF)))
