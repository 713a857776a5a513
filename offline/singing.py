"""Sound through a voice and back, offline: what a recording says and how it is intoned, sung by anybody."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gramophone.models.voice import Voice
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.recording import Recording
from gramophone.offline.train.prosody import measured, prosody
from gramophone.realtime.stage import Audio


@torch.no_grad()
def analysed(voice: Voice, samples: Audio, intoned: Audio | None = None) -> tuple[Tensor, Tensor]:
    """Return the latents' means `(1, latents, n)` and the prosody `(1, PROSODY, n)` of a mono sound.

    `intoned` are octaves and voicing, if they are known (`gramophone.offline.train.prosody`); the last hop is filled up
    with silence.
    """
    shape = voice.shape
    told = measured(samples, shape.rate, shape.hop) if intoned is None else intoned
    x = torch.from_numpy(np.pad(samples, (0, -len(samples) % shape.hop)))[None, None]
    pitch = torch.from_numpy(np.ascontiguousarray(told.T))[None]
    return voice.posterior(x).mean, torch.cat([pitch, voice.loudness_of(x)], 1)


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
