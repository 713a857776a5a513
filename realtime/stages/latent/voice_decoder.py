"""A voice model's decoder, hop by hop: numba kernels on a CPU, a captured graph on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from gramophone.models.units import COLOUR, PROSODY, SILENCE
from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stages.latent import voice_decoder_net as decoder_net
from gramophone.realtime.stages.latent import voice_synth as synth
from gramophone.realtime.stages.latent.voice_layers import FrameByFrame, add_past, compiled

if TYPE_CHECKING:
    from gramophone.models.nets.voice import VoiceDecoder

Prosody = tuple[float, float, float]
"""Octaves above `MIDDLE_HZ`, voicing, loudness in nats."""


class LiveVoiceDecoder(Protocol):
    """A decoder with its streaming state."""

    def decode(self, latents: Floats, speaker: Floats, prosody: Prosody, colour: Floats) -> Floats:
        """Return the next hop of sound, `(hop,)`.

        `latents` `(D,)`; `speaker` `(speaker,)`, an embedding; `colour` `(COLOUR,)`: formant shift in octaves, noise
        gain in nats, tilt in nats an octave. Speaker and colour do not change afterwards: others are other arrays.
        """

    def prepare(self) -> None:
        """Add up what past frames contribute to the next; `decode` does so itself if this was not called."""


class VoiceDecoderParts(NamedTuple):
    """What the kernels take of a model's decoder: its network's weights, and the constants of its synthesis."""

    weights: decoder_net.DecoderNetWeights
    plan: synth.SynthPlan


def decoder_parts(decoder: VoiceDecoder) -> VoiceDecoderParts:
    """Return what `KernelVoiceDecoder` takes of a model's decoder."""
    return VoiceDecoderParts(decoder_net.weights_of(decoder.network), synth.plan_of(decoder))


class KernelVoiceDecoder(FrameByFrame):
    """The decoder as numba kernels on one core."""

    def __init__(self, parts: VoiceDecoderParts) -> None:
        weights, plan = parts
        network, synth_state = decoder_net.initial_state_of(weights), synth.initial_state_of(plan)
        inputs, self._speaker, self._colour = (
            zeros(1, weights.entry.shape[1]),
            zeros(1, weights.speaker.shape[1]),
            zeros(COLOUR),
        )
        self._latents, self._hop = inputs[0, :-PROSODY], plan.hop
        self._known: tuple[Floats | None, Floats | None] = None, None
        self._set_speaker = bind(
            decoder_net.set_speaker, (weights.speaker, weights.speaker_bias, network.speaker_bias, self._speaker)
        )
        bound = weights, network, plan, synth_state, inputs, zeros(PROSODY), self._colour
        super().__init__(
            bind(_add_past, (weights.gates, network.gates), 0), bind(_decode, bound, 0, 0.0, 0.0, 0.0, self._colour)
        )

    def decode(self, latents: Floats, speaker: Floats, prosody: Prosody, colour: Floats) -> Floats:
        """Return the next hop of sound, `(hop,)`."""
        if self._known[0] is not speaker or self._known[1] is not colour:
            self._set_controls(speaker, colour)
        octaves, voicing, loudness = prosody
        self._latents[:] = latents
        output = np.empty(self._hop, np.float32)
        self.advance(octaves, voicing, max(loudness, SILENCE), output)
        return output

    def _set_controls(self, speaker: Floats, colour: Floats) -> None:
        if self._known[0] is not speaker:
            self._speaker[0] = speaker
            self._set_speaker()
        self._colour[:] = colour
        self._known = speaker, colour


@compiled
def _add_past(bound: Any, frame: int) -> None:
    gates, state = contents(bound)
    add_past(gates, state, frame)


@compiled
def _decode(bound: Any, frame: int, octaves: float, voicing: float, loudness: float, output: Floats) -> None:
    """Write the hop of a frame; the latents are at the start of the network's `inputs`, prosody comes after them."""
    weights, network, plan, synth_state, inputs, prosody, colour = contents(bound)
    prosody[0], prosody[1], prosody[2] = octaves, voicing, loudness
    first = inputs.shape[1] - len(prosody)
    inputs[0, first], inputs[0, first + 1] = prosody[0] * prosody[1], prosody[1]
    inputs[0, first + 2] = prosody[2] / np.float32(3) + np.float32(1)
    decoder_net.envelope(weights, network, frame, inputs)
    synth.synthesise(plan, synth_state, network.envelope, prosody, colour, output)


class ModuleVoiceDecoder:
    """The decoder as an executor runs the torch module."""

    def __init__(self, decoder: VoiceDecoder, device: str) -> None:
        from gramophone.realtime.kernels.executor import make

        shape = decoder.shape
        controls = [np.zeros(size, np.float32) for size in ((1, shape.speaker), (1, PROSODY, 1), (1, COLOUR))]
        self._decode = make(decoder, channels=shape.latents, block=1, controls=controls, device=device)

    def decode(self, latents: Floats, speaker: Floats, prosody: Prosody, colour: Floats) -> Floats:
        """Return the next hop of sound, `(hop,)`."""
        controls = speaker[None], np.array(prosody, np.float32)[None, :, None], colour[None]
        output: Floats = self._decode(latents[None, :, None], *controls)[0, 0]
        return output

    def prepare(self) -> None:
        """Do nothing: the graph is in one piece."""
