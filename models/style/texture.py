"""Texture features: wide, random, untrained convolutions over log-mel frames, whose Gram matrices are matched.

Ulyanov and Lebedev, "Audio texture synthesis and style transfer" (2016): filters over all bands and some frames need no
training for their Gram matrix to hold a timbre. Time-lagged Grams (Antognini, Hoffman and Weiss 2019) add rhythm, and
several resolutions (Caracalla and Roebel 2020) both attacks and pitch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramophone.models.layers.mel import MelBands

_FLOOR = 1e-9
"""Least power resolved in a band of a sound at -20 dBFS: 70 dB below it."""


class TextureLogMel(nn.Module):
    """Natural log of the power in mel bands: sound `(T,)` at `rate` Hz to levels `(bands, T // hop + 1)`."""

    window: Tensor
    weights: Tensor

    def __init__(self, rate: int, window: int, hop: int, bands: int) -> None:
        super().__init__()
        self.hop = hop
        hann = torch.hann_window(window)
        self.register_buffer("window", hann / (hann.square().sum() * window).sqrt(), persistent=False)
        self.register_buffer("weights", MelBands(rate, window, bands, low=40.0).weights, persistent=False)

    def forward(self, sound: Tensor) -> Tensor:
        """Return levels; frame `m` is centred on sample `m * hop`."""
        length = len(self.window)
        spectra = torch.stft(sound, length, self.hop, window=self.window, pad_mode="constant", return_complex=True)
        power = torch.view_as_real(spectra).square().sum(2)
        return (self.weights @ power + _FLOOR).log()


class RandomFilters(nn.Module):
    """`count` random filters over all bands and `reach` frames: levels `(bands, n)` to features `(1, count, n)`.

    The levels are put on one scale first: zero mean in each band and one variance over all, for those given to `fit`.
    One seed makes one set of filters.
    """

    weight: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, bands: int, count: int, reach: int, seed: int = 0) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        weight = torch.randn(count, bands, reach, generator=random) / (bands * reach) ** 0.5
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("mean", torch.zeros(bands, 1), persistent=False)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def fit(self, levels: Tensor) -> None:
        """Take the scale from levels `(bands, n)`."""
        self.mean = levels.mean(1, keepdim=True)
        self.scale = (levels - self.mean).square().mean().sqrt().clamp_min(1e-3)

    def forward(self, levels: Tensor) -> Tensor:
        """Return rectified features, frame by frame in line with the levels."""
        return F.relu(F.conv1d(((levels - self.mean) / self.scale)[None], self.weight, padding="same"))
