"""Offline resynthesis and conversion with a voice: encode a recording, decode it as any speaker."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gramophone.models.layers.streaming import State
from gramophone.models.nets.voice import Voice
from gramophone.offline.data.corpus import Corpus, sound
from gramophone.offline.data.recording import Recording
from gramophone.offline.train.pitch_cache import prosody
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.latent.voice_analysis import adapted_state, analyse, encode

_WARM_UP_S = 10.0
"""Seconds of a speaker from which the encoder's normalisation is warmed up before an evaluation."""


def warmed_up(voice: Voice, corpus: Corpus, speaker: str) -> State:
    """Return the encoder's state after ten seconds of a speaker's training recordings."""
    return adapted_state(voice, clip(corpus, speaker, _WARM_UP_S))


def clip(corpus: Corpus, speaker: str, seconds: float) -> Audio:
    """Return the first `seconds` of a speaker's training recordings, `[frames]`, joined; fewer if there are fewer."""
    parts, missing = [], round(seconds * corpus.rate)
    for recording in corpus.training:
        if recording.speaker == speaker and missing > 0:
            parts.append(sound(recording, 0, missing))
            missing -= len(parts[-1])
    return np.concatenate(parts)


def latents_by(voice: Voice, corpus: Corpus) -> Callable[[Recording], Tensor]:
    """Return a function from a recording to its latents `[D, n]`, the encoder warmed up for its speaker."""
    known = functools.cache(lambda speaker: warmed_up(voice, corpus, speaker))
    return lambda recording: encode(voice, sound(recording), known(recording.speaker))[0]


@torch.no_grad()
def decoded(voice: Voice, z: Tensor, speaker: Tensor, prosody: Tensor) -> Audio:
    """Return the sound of latents, `[n * hop]`, clipped to -1 to 1.

    Args:
        voice: the voice that decodes.
        z: latents `[1, latents, n]`.
        speaker: the speaker's vector `[1, speaker]`.
        prosody: octaves, voicing and loudness, `[1, PROSODY, n]`.
    """
    audio, _ = voice.decoder(z, None, speaker, prosody)
    samples: Audio = audio[0, 0].clamp(-1, 1).numpy()
    return samples


def resynthesised(voice: Voice, recording: Recording, speaker: Tensor, frames: int | None = None) -> Audio:
    """Return a recording, or its first `frames` samples, decoded as a speaker by their vector `[1, speaker]`."""
    samples = sound(recording, 0, frames)
    hops = -(-len(samples) // voice.shape.hop)
    z, conditioning = analyse(voice, samples, prosody(recording, voice.shape.rate, voice.shape.hop)[:hops])
    return decoded(voice, z, speaker, conditioning)[: len(samples)]
