"""Whose voice it is, hidden from an encoder: formants moved, the spectrum bent and stretched at random beforehand.

What is random cannot be told on, so latents do not carry it, and the decoder must take the timbre from the speaker
(perturbation as in NANSY, Choi et al. 2021, on the spectrum's frames instead of the sound).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gramophone.models.layers.envelope import between
from gramophone.models.layers.mel import hz_to_mel, mel_edges
from gramophone.models.nets.voice_features import FINE_BANDS

_BEND = 0.1
"""Spread of each of the waves that bend the spectrum, in a channel's own spread: what is usual is never quite known."""
_STRETCH = 0.1
"""The same of those by which each channel's departure from the usual is larger or smaller, in nats."""
_WAVES = 5


def disguised(frames: Tensor, bands: int, rate: int, formants: float) -> Tensor:
    """Return frames `(B, bands + others, n)`, as `Adaptation` gives them, each example as of somebody else.

    `formants` is by how many octaves they go up or down at most.
    """
    batch, channels, count = frames.shape
    coarse, fine = frames[:, :bands], frames[:, bands:]
    moved = torch.cat([between(coarse, _places(batch, bands, rate, formants).expand(-1, -1, count)), fine], 1)
    bend, stretch = (_curves(batch, bands, channels - bands) * spread for spread in (_BEND, _STRETCH))
    audible = frames.abs().amax(1, keepdim=True) > 0
    return (moved * stretch.exp() + bend) * audible


def _places(batch: int, bands: int, rate: int, formants: float) -> Tensor:
    """Return from where in the bands each band is taken, `(B, bands, 1)`."""
    factor = torch.exp2((torch.rand(batch, 1) * 2 - 1) * formants)
    edges = mel_edges(bands, 0.0, rate / 2).float()
    step = float(hz_to_mel(edges[1]))
    return (hz_to_mel(edges[1:-1] * factor) / step - 1)[..., None]


def _curves(batch: int, bands: int, others: int) -> Tensor:
    """Return smooth random curves over bands, the same for the fine bands that repeat, `(B, bands + others, 1)`."""
    waves = torch.randn(batch, _WAVES)
    coarse, fine = (waves @ _shapes(count) for count in (bands, FINE_BANDS))
    return torch.cat([coarse, fine[:, torch.arange(others) % FINE_BANDS]], 1)[..., None]


def _shapes(count: int) -> Tensor:
    """Return waves over so many bands, `(_WAVES, count)`."""
    place = (torch.arange(count) + 0.5) / count
    return torch.cos(math.pi * torch.arange(_WAVES)[:, None] * place)
