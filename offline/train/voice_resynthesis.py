"""Sound through a voice and back, offline: what a recording says and how it is intoned, sung by anybody."""

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
from gramophone.realtime.stages.latent.voice_offline import accustomed, analysed, latents

_HEARD_BEFORE_S = 10.0
"""Seconds of a voice that the encoder hears before it is judged: on stage, it soon is accustomed to who sings."""


def accustomed_to(voice: Voice, corpus: Corpus, speaker: str) -> State:
    """Return the state of an encoder that has heard some seconds of a speaker."""
    return accustomed(voice, clip(corpus, speaker, _HEARD_BEFORE_S))


def clip(corpus: Corpus, speaker: str, seconds: float) -> Audio:
    """Return so many seconds of a speaker's recordings that are not held out."""
    parts, missing = [], round(seconds * corpus.rate)
    for recording in corpus.training:
        if recording.speaker == speaker and missing > 0:
            parts.append(sound(recording, 0, missing))
            missing -= len(parts[-1])
    return np.concatenate(parts)


def encoder_of(voice: Voice, corpus: Corpus) -> Callable[[Recording], Tensor]:
    """Return what gives a recording's latents, `(D, n)`, as an encoder hears it that is accustomed to its speaker."""
    known = functools.cache(lambda speaker: accustomed_to(voice, corpus, speaker))
    return lambda recording: latents(voice, sound(recording), known(recording.speaker))[0]


@torch.no_grad()
def sung(voice: Voice, z: Tensor, speaker: Tensor, prosody: Tensor) -> Audio:
    """Return latents and prosody as one sings them, by their vector `(1, speaker)`: `(n * hop,)`."""
    said, _ = voice.decoder(z, None, speaker, prosody)
    samples: Audio = said[0, 0].clamp(-1, 1).numpy()
    return samples


def sung_again(voice: Voice, recording: Recording, speaker: Tensor, frames: int | None = None) -> Audio:
    """Return a recording, or so many samples from its beginning, as one sings it."""
    samples = sound(recording, 0, frames)
    hops = -(-len(samples) // voice.shape.hop)
    z, told = analysed(voice, samples, prosody(recording, voice.shape.rate, voice.shape.hop)[:hops])
    return sung(voice, z, speaker, told)[: len(samples)]
