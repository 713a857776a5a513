"""Mu-law: sound as 256 levels, fine near silence and coarse where it is loud (ITU-T G.711's curve, as in WaveNet)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEVELS = 256
SILENCE = LEVELS // 2
"""The level of a sample of 0."""
_MU = LEVELS - 1


def encode(sound: Tensor) -> Tensor:
    """Return the nearest level of each sample, int64 0 to 255; what is beyond -1 to 1 is clipped. Any shape."""
    sound = sound.clamp(-1, 1)
    squeezed = sound.sign() * torch.log1p(_MU * sound.abs()) / math.log1p(_MU)
    return ((squeezed + 1) / 2 * _MU + 0.5).floor().long()


def decode(levels: Tensor) -> Tensor:
    """Return the sound of levels 0 to 255 (also between two of them), within -1 to 1. Any shape."""
    squeezed = 2 * levels.to(torch.get_default_dtype()) / _MU - 1
    return squeezed.sign() * torch.expm1(squeezed.abs() * math.log1p(_MU)) / _MU
