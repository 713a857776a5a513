"""Sound through a voice and back, offline: what a recording says and how it is intoned, sung by anybody."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.streaming import State
from gramophone.models.voice import Voice
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.recording import Recording
from gramophone.offline.train.prosody import measured, prosody
from gramophone.realtime.stage import Audio


@torch.no_grad()
def accustomed(voice: Voice, samples: Audio) -> State:
    """Return the state of an encoder that has heard a mono sound: it expects this voice from now on."""
    state: State = voice.encoder(_hops(voice, samples))[1]
    return state


@torch.no_grad()
def latents(voice: Voice, samples: Audio, heard: State | None = None) -> Tensor:
    """Return the latents' means of a mono sound, `(1, latents, n)`, behind what the encoder has `heard`."""
    numbers, _ = voice.encoder(F.pad(_hops(voice, samples), (0, voice.delay)), heard)
    return cast(Tensor, numbers[:, : voice.shape.latents, voice.encoder.delay :])


@torch.no_grad()
def analysed(
    voice: Voice, samples: Audio, intoned: Audio | None = None, heard: State | None = None
) -> tuple[Tensor, Tensor]:
    """Return the latents' means `(1, latents, n)` and the prosody `(1, PROSODY, n)` of a mono sound.

    `intoned` are octaves and voicing, if they are known (`gramophone.offline.train.prosody`); the last hop is filled up
    with silence. `heard` is what the encoder has heard before, if it has (`accustomed`).
    """
    shape = voice.shape
    told = measured(samples, shape.rate, shape.hop) if intoned is None else intoned
    pitch = torch.from_numpy(np.ascontiguousarray(told.T))[None]
    loudness = voice.loudness_of(_hops(voice, samples))
    return latents(voice, samples, heard), torch.cat([pitch, loudness], 1)


def _hops(voice: Voice, samples: Audio) -> Tensor:
    """Return a mono sound as `(1, 1, T)`, the last hop filled up with silence."""
    return torch.from_numpy(np.pad(samples, (0, -len(samples) % voice.shape.hop)))[None, None]


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
