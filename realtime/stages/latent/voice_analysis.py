"""The analysis of a whole sound by a voice model: latents, pitch and loudness, aligned with the sound."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.layers.streaming import State
from gramophone.models.nets.voice import Voice
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.stage import Audio


@torch.no_grad()
def adapted_state(voice: Voice, samples: Audio) -> State:
    """Return the encoder's state after a mono sound `(T,)`: its speaker normalisation has adapted to that voice."""
    state: State = voice.encoder(_hops(voice, samples))[1]
    return state


@torch.no_grad()
def encode(voice: Voice, samples: Audio, state: State | None = None) -> Tensor:
    """Return the latents' means `(1, latents, n)` of a mono sound `(T,)`, encoded from `state` or from silence."""
    numbers, _ = voice.encoder(F.pad(_hops(voice, samples), (0, voice.delay)), state)
    return cast(Tensor, numbers[:, : voice.shape.latents, voice.encoder.delay :])


@torch.no_grad()
def analyse(
    voice: Voice, samples: Audio, contour: Audio | None = None, state: State | None = None
) -> tuple[Tensor, Tensor]:
    """Return the latents' means `(1, latents, n)` and the prosody `(1, PROSODY, n)` of a mono sound `(T,)`.

    `contour` `(n, 2)` are octaves and voicing where they are known already; `state` is what the encoder starts from
    (`adapted_state`), by default silence. The last hop is padded with silence.
    """
    shape = voice.shape
    known = pitch_contour(samples, shape.rate, shape.hop) if contour is None else contour
    pitch = torch.from_numpy(np.ascontiguousarray(known.T))[None]
    loudness = voice.loudness_of(_hops(voice, samples))
    return encode(voice, samples, state), torch.cat([pitch, loudness], 1)


def _hops(voice: Voice, samples: Audio) -> Tensor:
    """Return a mono sound `(T,)` as `(1, 1, n * hop)`, the last hop padded with silence."""
    return torch.from_numpy(np.pad(samples, (0, -len(samples) % voice.shape.hop)))[None, None]
