"""Sound through a VLAE and back, offline: whole recordings to latents, and latents to sound by the quick sampler."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gramophone.models.nets.vlae import VLAE
from gramophone.models.nets.wavenet import one_hot_speaker
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.wavenet.sampler import Sampler


@torch.no_grad()
def encoded(model: VLAE, sound: Audio) -> Tensor:
    """Return the means of a mono sound's latents, `(1, D, n)`; the last hop is filled up with silence."""
    whole = np.pad(sound, (0, -len(sound) % model.shape.hop))
    return model.posterior(torch.from_numpy(whole)[None, None]).mean


@torch.no_grad()
def decoded(model: VLAE, z: Tensor, speaker: int = 0, temperature: float = 1.0, seed: int = 0) -> Audio:
    """Return what one speaker says of some series of latents `(B, D, n)`: `(B, n * hop)`."""
    given = [one_hot_speaker(speaker, model.shape.speakers).expand(len(z), -1)] if model.shape.speakers else []
    conditions, _ = model.wavenet.conditions(z, None, *given)
    samples = z.shape[2] * model.shape.hop
    said = Sampler(model.wavenet, len(z), seed).generate(samples, conditions.numpy(), temperature)
    sound, _ = model.decoder.deemphasis(torch.from_numpy(said)[:, None])
    spoken: Audio = sound[:, 0].clamp(-1, 1).numpy()
    return spoken


def resynthesised(model: VLAE, sound: Audio, speaker: int = 0, temperature: float = 1.0) -> Audio:
    """Return a mono sound as the model says it again, `(T,)`."""
    return decoded(model, encoded(model, sound), speaker, temperature)[0, : len(sound)]
