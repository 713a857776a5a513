"""Random perturbation of an encoder's input that hides the speaker: formants shifted, the spectrum tilted and scaled.

The decoder cannot reconstruct what is random, so latents do not carry it, and the timbre must come from the speaker's
vector (as in NANSY, Choi et al. 2021, here on frames instead of the waveform).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gramophone.models.layers.envelope import between
from gramophone.models.layers.mel import hz_to_mel, mel_edges
from gramophone.models.nets.voice_features import FINE_BANDS

_BEND = 0.1
"""Standard deviation of each cosine added to the normalised spectrum."""
_STRETCH = 0.1
"""Standard deviation of each cosine by which the channels are scaled, in nats."""
_WAVES = 5


def perturbed(frames: Tensor, bands: int, rate: int, formants: float) -> Tensor:
    """Return normalised frames `[B, bands + others, n]`, each example with its own random perturbation.

    Args:
        frames: from `SpeakerNormalisation`; frames of 0, pauses, stay 0.
        bands: how many of the channels are mel bands; the others are the fine bands.
        rate: sample rate in Hz.
        formants: largest shift of the formants, in octaves.
    """
    batch, channels, count = frames.shape
    coarse, fine = frames[:, :bands], frames[:, bands:]
    moved = torch.cat([between(coarse, _places(batch, bands, rate, formants).expand(-1, -1, count)), fine], 1)
    bend, stretch = (_curves(batch, bands, channels - bands) * spread for spread in (_BEND, _STRETCH))
    audible = frames.abs().amax(1, keepdim=True) > 0
    return (moved * stretch.exp() + bend) * audible


def _places(batch: int, bands: int, rate: int, formants: float) -> Tensor:
    """Return the fractional band that each band is read from, `(B, bands, 1)`."""
    factor = torch.exp2((torch.rand(batch, 1) * 2 - 1) * formants)
    edges = mel_edges(bands, 0.0, rate / 2).float()
    step = float(hz_to_mel(edges[1]))
    return (hz_to_mel(edges[1:-1] * factor) / step - 1)[..., None]


def _curves(batch: int, bands: int, others: int) -> Tensor:
    """Return smooth random curves over bands, repeated for the fine bands, `(B, bands + others, 1)`."""
    waves = torch.randn(batch, _WAVES)
    coarse, fine = (waves @ _shapes(count) for count in (bands, FINE_BANDS))
    return torch.cat([coarse, fine[:, torch.arange(others) % FINE_BANDS]], 1)[..., None]


def _shapes(count: int) -> Tensor:
    """Return cosines over bands, `(_WAVES, count)`."""
    place = (torch.arange(count) + 0.5) / count
    return torch.cos(math.pi * torch.arange(_WAVES)[:, None] * place)
