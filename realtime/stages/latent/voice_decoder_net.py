"""The network of a voice's decoder on one core, a frame at a time: numba's kernel and the weights as it reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from gramophone.models.nets.voice import VoiceDecoderNetwork
from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.stages.latent.voice_layers import (
    Layers,
    LayerState,
    compiled,
    finish,
    layers_of,
    leaky,
    memory_of,
    multiply,
    place_of,
)
from gramophone.realtime.stages.wavenet.kernel import tanh

_F = np.float32


class DecoderNetWeights(NamedTuple):
    """With `L` layers of `C` channels, `I` numbers told, `S` of a speaker, `E` in an envelope; `[in][out]` all.

    `entry` `(1, I, C)`; `gates`, from `C` to `2C`; `speaker` `(1, S, L * 2C)`; `exits` `(L, C, 2C)`; `hidden`
    `(1, C, C)`; `out` `(1, C, E)`; each with its bias.
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
    """What is remembered: the gates' past, and what the speaker is to them, `(1, L * 2C)`; room to work in."""

    gates: LayerState
    voice: Floats
    sums: Floats
    gated: Floats
    hidden: Floats
    envelope: Floats


def weights_of(network: VoiceDecoderNetwork) -> DecoderNetWeights:
    """Return the weights of a network."""
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


def state_of(weights: DecoderNetWeights) -> DecoderNetState:
    """Return silence."""
    layers, channels, both = weights.exits.shape
    return DecoderNetState(
        gates=memory_of(weights.gates),
        voice=zeros(1, layers * both),
        sums=zeros(1, both),
        gated=zeros(1, channels),
        hidden=zeros(1, channels),
        envelope=zeros(1, weights.out.shape[2]),
    )


@compiled
def speak_as(weights: DecoderNetWeights, state: DecoderNetState, speaker: Floats) -> None:
    """Take over a speaker, `(1, S)`."""
    for i in range(state.voice.shape[1]):
        state.voice[0, i] = weights.speaker_bias[i]
    multiply(state.voice, 0, speaker, 0, weights.speaker, 0)


@compiled
def envelope(weights: DecoderNetWeights, state: DecoderNetState, now: int, told: Floats) -> None:
    """Put the envelope of frame `now`, of which `told` `(1, I)` is said, into `state.envelope`; the past is known."""
    layers, channels, both = weights.exits.shape
    sums, known = state.sums, state.gates.known
    for i in range(channels):
        sums[0, i] = weights.entry_bias[i]
        sums[0, channels + i] = _F(0)
    multiply(sums, 0, told, 0, weights.entry, 0)
    for layer in range(layers):
        place = place_of(weights.gates, layer, now)
        for i in range(channels):
            state.gates.past[place, i] = sums[0, i]
        finish(weights.gates, state.gates, layer, now)
        for i in range(both):
            known[layer, i] += state.voice[0, layer * both + i]
            sums[0, i] += weights.exit_bias[layer, i]
        for i in range(channels):
            sigmoid = _F(0.5) + _F(0.5) * tanh(_F(0.5) * known[layer, channels + i])
            state.gated[0, i] = tanh(known[layer, i]) * sigmoid
        multiply(sums, 0, state.gated, 0, weights.exits, layer)
    for i in range(channels):
        state.gated[0, i] = leaky(sums[0, channels + i])
        state.hidden[0, i] = weights.hidden_bias[i]
    multiply(state.hidden, 0, state.gated, 0, weights.hidden, 0)
    for i in range(channels):
        state.hidden[0, i] = leaky(state.hidden[0, i])
    for i in range(state.envelope.shape[1]):
        state.envelope[0, i] = weights.out_bias[i]
    multiply(state.envelope, 0, state.hidden, 0, weights.out, 0)
