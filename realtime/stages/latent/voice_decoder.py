"""A voice model's decoder, hop by hop: numba kernels on a CPU, a captured graph on a GPU."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gramophone.models.nets.voice import VoiceDecoder
from gramophone.models.units import COLOUR, PROSODY, SILENCE
from gramophone.realtime.kernels.arrays import Floats, zeros
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
        self._weights = decoder_net.weights_of(decoder.network)
        self._plan = synth.plan_of(decoder)
        self._inputs = zeros(1, self._weights.entry.shape[1])
        self._speaker = zeros(1, self._weights.speaker.shape[1])
        self._network, self._synth = decoder_net.initial_state_of(self._weights), synth.initial_state_of(self._plan)
        self._frame, self._prepared = 0, False
        self._compile()

    def decode(self, latents: Floats, speaker: Floats, prosody: Floats, colour: Floats) -> Floats:
        """Return the next hop of sound, `(hop,)`."""
        self.prepare()
        if not np.array_equal(speaker, self._speaker[0]):
            self._speaker[0] = speaker
            decoder_net.set_speaker(self._weights, self._network, self._speaker)
        octaves, voicing, loudness = prosody
        self._inputs[0, :-PROSODY] = latents
        self._inputs[0, -PROSODY:] = octaves * voicing, voicing, max(loudness, SILENCE) / 3 + 1
        output = np.empty(self._plan.hop, np.float32)
        weights, network, plan, synth_state = self._weights, self._network, self._plan, self._synth
        _decode(weights, network, plan, synth_state, self._frame, self._inputs, prosody, colour, output)
        self._frame, self._prepared = self._frame + 1, False
        return output

    def prepare(self) -> None:
        """Add up what past frames contribute to the next."""
        if not self._prepared:
            add_past(self._weights.gates, self._network.gates, self._frame)
            self._prepared = True

    def _compile(self) -> None:
        """Compile the kernels before the first block, and reset the state."""
        silence = np.array([0.0, 0.0, SILENCE], np.float32)
        self.decode(self._inputs[0, :-PROSODY], np.zeros_like(self._speaker[0]), silence, np.zeros(COLOUR, np.float32))
        self._network, self._synth = decoder_net.initial_state_of(self._weights), synth.initial_state_of(self._plan)
        self._speaker[0] = np.nan  # no speaker yet
        self._frame, self._prepared = 0, False


@compiled
def _decode(
    weights: decoder_net.DecoderNetWeights,
    network: decoder_net.DecoderNetState,
    plan: synth.SynthPlan,
    synth_state: synth.SynthState,
    frame: int,
    inputs: Floats,
    prosody: Floats,
    colour: Floats,
    output: Floats,
) -> None:
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
