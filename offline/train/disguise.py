"""Whose voice it is, hidden from an encoder: formants moved and the spectrum bent at random before it hears them.

What is random cannot be told on, so latents do not carry it, and the decoder must take the timbre from the speaker
(perturbation as in NANSY, Choi et al. 2021, on the spectrum's frames instead of the sound).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gramophone.models.ear import FINE_BANDS
from gramophone.models.envelope import between
from gramophone.models.mel import hz_to_mel, mel_edges

_FORMANTS = 0.3
"""Formants go up or down by so many octaves at most."""
_BEND = 0.25
"""Spread of each of the waves that bend the spectrum, in log-mel features' units: 4.3 dB."""
_WAVES = 5


def disguised(frames: Tensor, bands: int, rate: int) -> Tensor:
    """Return log-mel frames `(B, bands + others, n)`, as `Ear` gives them, each example as of somebody else."""
    batch, channels, _ = frames.shape
    coarse, fine = frames[:, :bands], frames[:, bands:]
    moved = between(coarse, _places(batch, bands, rate).expand(-1, -1, frames.shape[2]))
    waves = torch.randn(batch, _WAVES, device=frames.device) * _BEND
    fine_bands = torch.arange(channels - bands) % FINE_BANDS
    return torch.cat([moved + _bend(waves, bands), fine + _bend(waves, FINE_BANDS)[:, fine_bands]], 1)


def _places(batch: int, bands: int, rate: int) -> Tensor:
    """Return from where in the bands each band is taken, `(B, bands, 1)`."""
    factor = torch.exp2((torch.rand(batch, 1) * 2 - 1) * _FORMANTS)
    edges = mel_edges(bands, 0.0, rate / 2).float()
    step = float(hz_to_mel(edges[1]))
    return (hz_to_mel(edges[1:-1] * factor) / step - 1)[..., None]


def _bend(waves: Tensor, bands: int) -> Tensor:
    """Return smooth curves over bands, `(B, bands, 1)`."""
    place = (torch.arange(bands) + 0.5) / bands
    shapes = torch.cos(math.pi * torch.arange(1, _WAVES + 1)[:, None] * place)
    return (waves @ shapes)[..., None]
