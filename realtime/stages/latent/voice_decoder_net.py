"""The network of a voice model's decoder on one core, frame by frame: numba kernels and their layout of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.kernels.bound import contents
from gramophone.realtime.kernels.jit import tanh
from gramophone.realtime.stages.latent.voice_layers import (
    Layers,
    LayerState,
    add_newest,
    compiled,
    initial_state,
    layers_of,
    leaky_relu,
    multiply,
    slot_of,
)

if TYPE_CHECKING:
    from gramophone.models.nets.voice import VoiceDecoderNetwork

_F = np.float32


class DecoderNetWeights(NamedTuple):
    """Weights, `[in][out]`, of `L` layers of `C` channels.

    With `I` inputs, speaker vectors of `S` and envelopes of `E` values: `entry` `(1, I, C)`; `gates`, `C` to `2C`;
    `speaker` `(1, S, L * 2C)`; `exits` `(L, C, 2C)`; `hidden` `(1, C, C)`; `out` `(1, C, E)`; each with its bias.
    """

    entry: Floats
    entry_bias: Floats
    gates: Layers
    speaker: Floats
    speaker_bias: Floats
    exits: Floats
    exit_bias: Floats
    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats


class DecoderNetState(NamedTuple):
    """State: the gates' past, and the speaker's bias of all gates, `(1, L * 2C)`; the rest is work space.

    `path` `(1, 2C)` holds the residual path and the sum of the skip paths.
    """

    gates: LayerState
    speaker_bias: Floats
    path: Floats
    gated: Floats
    hidden: Floats
    envelope: Floats


def weights_of(network: VoiceDecoderNetwork) -> DecoderNetWeights:
    """Return the weights of a network, in the kernels' layout."""
    import torch

    exits: list[Any] = list(network.exits)
    first: Any = network.head[1]
    return DecoderNetWeights(
        entry=packed(network.entry.weight.t()[None]),
        entry_bias=packed(network.entry.bias),
        gates=layers_of(list(network.gates)),
        speaker=packed(network.biases.weight.t()[None]),
        speaker_bias=packed(network.biases.bias),
        exits=packed(torch.stack([exit_.weight.t() for exit_ in exits])),
        exit_bias=packed(torch.stack([exit_.bias for exit_ in exits])),
        hidden=packed(first.weight.t()[None]),
        hidden_bias=packed(first.bias),
        out=packed(network.out.weight.t()[None]),
        out_bias=packed(network.out.bias),
    )


def initial_state_of(weights: DecoderNetWeights) -> DecoderNetState:
    """Return the state of silence."""
    layers, channels, both = weights.exits.shape
    return DecoderNetState(
        gates=initial_state(weights.gates),
        speaker_bias=zeros(1, layers * both),
        path=zeros(1, both),
        gated=zeros(1, channels),
        hidden=zeros(1, channels),
        envelope=zeros(1, weights.out.shape[2]),
    )


@compiled
def set_speaker(bound: Any) -> None:
    """Compute the speaker's bias of all gates; bound to its weights and bias, the result, and a speaker `(1, S)`."""
    matrix, bias, found, speaker = contents(bound)
    for i in range(found.shape[1]):
        found[0, i] = bias[i]
    multiply(found, 0, speaker, 0, matrix, 0)


@compiled
def envelope(weights: DecoderNetWeights, state: DecoderNetState, now: int, inputs: Floats) -> None:
    """Compute the envelope of frame `now` from its inputs, `(1, I)`, into `state.envelope`.

    The contribution of the past must have been added (`voice_layers.add_past`).
    """
    layers, channels, both = weights.exits.shape
    path, sums = state.path, state.gates.sums
    for i in range(channels):
        path[0, i] = weights.entry_bias[i]
        path[0, channels + i] = _F(0)
    multiply(path, 0, inputs, 0, weights.entry, 0)
    for layer in range(layers):
        slot = slot_of(weights.gates, layer, now)
        for i in range(channels):
            state.gates.past[slot, i] = path[0, i]
        add_newest(weights.gates, state.gates, layer, now)
        for i in range(both):
            sums[layer, i] += state.speaker_bias[0, layer * both + i]
            path[0, i] += weights.exit_bias[layer, i]
        for i in range(channels):
            sigmoid = _F(0.5) + _F(0.5) * tanh(_F(0.5) * sums[layer, channels + i])
            state.gated[0, i] = tanh(sums[layer, i]) * sigmoid
        multiply(path, 0, state.gated, 0, weights.exits, layer)
    for i in range(channels):
        state.gated[0, i] = leaky_relu(path[0, channels + i])
        state.hidden[0, i] = weights.hidden_bias[i]
    multiply(state.hidden, 0, state.gated, 0, weights.hidden, 0)
    for i in range(channels):
        state.hidden[0, i] = leaky_relu(state.hidden[0, i])
    for i in range(state.envelope.shape[1]):
        state.envelope[0, i] = weights.out_bias[i]
    multiply(state.envelope, 0, state.hidden, 0, weights.out, 0)
