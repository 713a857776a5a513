"""Offline resynthesis with a VLAE: recordings to latents, and latents to sound by the fast sampler."""

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
    """Return series of latents `(B, D, n)` decoded as one speaker, `(B, n * hop)`."""
    given = [one_hot_speaker(speaker, model.shape.speakers).expand(len(z), -1)] if model.shape.speakers else []
    conditions, _ = model.wavenet.conditions(z, None, *given)
    samples = z.shape[2] * model.shape.hop
    emphasised = Sampler(model.wavenet, len(z), seed).generate(samples, conditions.numpy(), temperature)
    sound, _ = model.decoder.deemphasis(torch.from_numpy(emphasised)[:, None])
    samples_: Audio = sound[:, 0].clamp(-1, 1).numpy()
    return samples_


def resynthesised(model: VLAE, sound: Audio, speaker: int = 0, temperature: float = 1.0) -> Audio:
    """Return a mono sound encoded and decoded, `(T,)`."""
    return decoded(model, encoded(model, sound), speaker, temperature)[0, : len(sound)]
