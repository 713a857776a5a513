"""A voice model's decoder, hop by hop: numba kernels on a CPU, a captured graph on a GPU."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from gramophone.models.nets.voice import VoiceDecoder
from gramophone.models.units import COLOUR, PROSODY, SILENCE
from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.executor import make
from gramophone.realtime.stages.latent import voice_decoder_net as decoder_net
from gramophone.realtime.stages.latent import voice_synth as synth
from gramophone.realtime.stages.latent.voice_layers import add_past, compiled


class LiveVoiceDecoder(Protocol):
    """A decoder with its streaming state."""

    def decode(self, latents: Floats, speaker: Floats, prosody: Floats, colour: Floats) -> Floats:
        """Return the next hop of sound, `(hop,)`.

        `latents` `(D,)`; `speaker` `(speaker,)`, an embedding; `prosody` `(PROSODY,)`: octaves above `MIDDLE_HZ`,
        voicing, loudness in nats; `colour` `(COLOUR,)`: formant shift in octaves, noise gain in nats, tilt in nats an
        octave.
        """

    def prepare(self) -> None:
        """Add up what past frames contribute to the next; `decode` does so itself if this was not called."""


def voice_decoder_of(decoder: VoiceDecoder, device: str) -> LiveVoiceDecoder:
    """Return the fastest decoder for a device, `cpu` or `cuda`."""
    return KernelVoiceDecoder(decoder) if device == "cpu" else ModuleVoiceDecoder(decoder, device)


class KernelVoiceDecoder:
    """The decoder as numba kernels on one core."""

    def __init__(self, decoder: VoiceDecoder) -> None:
        weights, plan = decoder_net.weights_of(decoder.network), synth.plan_of(decoder)
        network, synth_state = decoder_net.initial_state_of(weights), synth.initial_state_of(plan)
        inputs, self._prosody, self._colour = zeros(1, weights.entry.shape[1]), zeros(PROSODY), zeros(COLOUR)
        self._latents, self._scaled = inputs[0, :-PROSODY], inputs[0, -PROSODY:]
        self._speaker = zeros(1, weights.speaker.shape[1])
        self._speaker[0] = np.nan  # no speaker yet
        self._hop = plan.hop
        self._set_speaker = bind(_set_speaker, (weights, network, self._speaker))
        self._add_past = bind(_add_past, (weights.gates, network.gates), 0)
        parts = weights, network, plan, synth_state, inputs, self._prosody, self._colour
        self._decode = bind(_decode, parts, 0, self._prosody)
        self._frame, self._prepared = 0, False

    def decode(self, latents: Floats, speaker: Floats, prosody: Floats, colour: Floats) -> Floats:
        """Return the next hop of sound, `(hop,)`."""
        self.prepare()
        if not np.array_equal(speaker, self._speaker[0]):
            self._speaker[0] = speaker
            self._set_speaker()
        octaves, voicing, loudness = prosody
        self._latents[:], self._prosody[:], self._colour[:] = latents, prosody, colour
        self._scaled[:] = octaves * voicing, voicing, max(loudness, SILENCE) / 3 + 1
        output = np.empty(self._hop, np.float32)
        self._decode(self._frame, output)
        self._frame, self._prepared = self._frame + 1, False
        return output

    def prepare(self) -> None:
        """Add up what past frames contribute to the next."""
        if not self._prepared:
            self._add_past(self._frame)
            self._prepared = True


@compiled
def _add_past(bound: Any, frame: int) -> None:
    gates, state = contents(bound)
    add_past(gates, state, frame)


@compiled
def _set_speaker(bound: Any) -> None:
    weights, network, speaker = contents(bound)
    decoder_net.set_speaker(weights, network, speaker)


@compiled
def _decode(bound: Any, frame: int, output: Floats) -> None:
    weights, network, plan, synth_state, inputs, prosody, colour = contents(bound)
    decoder_net.envelope(weights, network, frame, inputs)
    synth.synthesise(plan, synth_state, network.envelope, prosody, colour, output)


class ModuleVoiceDecoder:
    """The decoder as an executor runs the torch module."""

    def __init__(self, decoder: VoiceDecoder, device: str) -> None:
        shape = decoder.shape
        controls = [np.zeros(size, np.float32) for size in ((1, shape.speaker), (1, PROSODY, 1), (1, COLOUR))]
        self._decode = make(decoder, channels=shape.latents, block=1, controls=controls, device=device)

    def decode(self, latents: Floats, speaker: Floats, prosody: Floats, colour: Floats) -> Floats:
        """Return the next hop of sound, `(hop,)`."""
        output: Floats = self._decode(latents[None, :, None], speaker[None], prosody[None, :, None], colour[None])[0, 0]
        return output

    def prepare(self) -> None:
        """Do nothing: the graph is in one piece."""
