"""A whole sound as a voice hears it: what is said, how it is intoned, how loud it is; each in line with the sound."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.layers.streaming import State
from gramophone.models.nets.voice import Voice
from gramophone.realtime.dsp.pitch.contour import pitch_contour
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

    `intoned` are octaves and voicing, if they are known; the last hop is filled up with silence. `heard` is what the
    encoder has heard before, if it has (`accustomed`).
    """
    shape = voice.shape
    told = pitch_contour(samples, shape.rate, shape.hop) if intoned is None else intoned
    pitch = torch.from_numpy(np.ascontiguousarray(told.T))[None]
    loudness = voice.loudness_of(_hops(voice, samples))
    return latents(voice, samples, heard), torch.cat([pitch, loudness], 1)


def _hops(voice: Voice, samples: Audio) -> Tensor:
    """Return a mono sound as `(1, 1, T)`, the last hop filled up with silence."""
    return torch.from_numpy(np.pad(samples, (0, -len(samples) % voice.shape.hop)))[None, None]
