"""A voice's decoder, hop by hop: by numba's kernels on a CPU, as a captured graph on a GPU."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gramophone.models.nets.voice import COLOUR, PROSODY, VoiceDecoder
from gramophone.models.nets.voice_features import SILENCE
from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.executor import make
from gramophone.realtime.stages.latent import voice_decoder_net as voice_network
from gramophone.realtime.stages.latent import voice_synth as voice_sound
from gramophone.realtime.stages.latent.voice_layers import compiled, look_back


class LiveVoiceDecoder(Protocol):
    """A decoder in the middle of a song."""

    def sing(self, latents: Floats, speaker: Floats, prosody: Floats, colour: Floats) -> Floats:
        """Return the next hop, `(hop,)`: latents `(D,)`, the speaker's vector, `(PROSODY,)` and `(COLOUR,)`."""

    def look_back(self) -> None:
        """Do what can be done before the next frame is known; whoever does not ask for it gets it done in `sing`."""


def voice_decoder_of(decoder: VoiceDecoder, device: str) -> LiveVoiceDecoder:
    """Return the quickest singer that there is for a decoder."""
    return KernelVoiceDecoder(decoder) if device == "cpu" else ModuleVoiceDecoder(decoder, device)


class KernelVoiceDecoder:
    """On one core."""

    def __init__(self, decoder: VoiceDecoder) -> None:
        self._weights = voice_network.weights_of(decoder.network)
        self._plan = voice_sound.plan_of(decoder)
        self._told = zeros(1, self._weights.entry.shape[1])
        self._speaker = zeros(1, self._weights.speaker.shape[1])
        self._network, self._sound = voice_network.state_of(self._weights), voice_sound.state_of(self._plan)
        self._frame, self._looked_back = 0, False
        self._compile()

    def sing(self, latents: Floats, speaker: Floats, prosody: Floats, colour: Floats) -> Floats:
        """Return the next hop."""
        self.look_back()
        if not np.array_equal(speaker, self._speaker[0]):
            self._speaker[0] = speaker
            voice_network.speak_as(self._weights, self._network, self._speaker)
        octaves, voicing, loudness = prosody
        self._told[0, :-PROSODY] = latents
        self._told[0, -PROSODY:] = octaves * voicing, voicing, max(loudness, SILENCE) / 3 + 1
        said = np.empty(self._plan.hop, np.float32)
        weights, network, plan, sound = self._weights, self._network, self._plan, self._sound
        _sing(weights, network, plan, sound, self._frame, self._told, prosody, colour, said)
        self._frame, self._looked_back = self._frame + 1, False
        return said

    def look_back(self) -> None:
        """Work out what frames so far are to the next."""
        if not self._looked_back:
            look_back(self._weights.gates, self._network.gates, self._frame)
            self._looked_back = True

    def _compile(self) -> None:
        """Compile now, not later, and leave nothing of it behind."""
        silence = np.array([0.0, 0.0, SILENCE], np.float32)
        self.sing(self._told[0, :-PROSODY], np.zeros_like(self._speaker[0]), silence, np.zeros(COLOUR, np.float32))
        self._network, self._sound = voice_network.state_of(self._weights), voice_sound.state_of(self._plan)
        self._speaker[0] = np.nan  # nobody yet
        self._frame, self._looked_back = 0, False


@compiled
def _sing(
    weights: voice_network.DecoderNetWeights,
    network: voice_network.DecoderNetState,
    plan: voice_sound.SynthPlan,
    sound: voice_sound.SynthState,
    frame: int,
    told: Floats,
    prosody: Floats,
    colour: Floats,
    said: Floats,
) -> None:
    voice_network.envelope(weights, network, frame, told)
    voice_sound.sound(plan, sound, network.envelope, prosody, colour, said)


class ModuleVoiceDecoder:
    """As an executor runs the module."""

    def __init__(self, decoder: VoiceDecoder, device: str) -> None:
        shape = decoder.shape
        controls = [np.zeros(size, np.float32) for size in ((1, shape.speaker), (1, PROSODY, 1), (1, COLOUR))]
        self._sing = make(decoder, channels=shape.latents, block=1, controls=controls, device=device)

    def sing(self, latents: Floats, speaker: Floats, prosody: Floats, colour: Floats) -> Floats:
        """Return the next hop."""
        said: Floats = self._sing(latents[None, :, None], speaker[None], prosody[None, :, None], colour[None])[0, 0]
        return said

    def look_back(self) -> None:
        """Nothing: the graph is one."""
