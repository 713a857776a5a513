"""Masked convolutions: pictures read row by row, each pixel given those before it (van den Oord et al. 2016).

The receptive field is limited on purpose: structure beyond it must come from the latents (Chen et al. 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedConv2d(nn.Module):
    """Convolution over the rows above and the left, up to `radius` away: `(B, in, H, W)` -> `(B, out, H, W)`.

    With `own` it includes the pixel at its own place (mask B of the paper), else not (mask A).
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, radius: int, own: bool) -> None:
        super().__init__()
        self.radius = radius
        # Rows below are never used, so there are no weights for them.
        self.convolution = nn.Conv2d(inputs, outputs, (radius + 1, 2 * radius + 1))
        # The layout of the weights decides that of what comes out; with few channels this one takes a third less time.
        weight = self.convolution.weight
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        mask = torch.ones(radius + 1, 2 * radius + 1)
        mask[-1, radius + own :] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, with zeros around the picture."""
        padded = F.pad(x, (self.radius, self.radius, self.radius, 0))
        return F.conv2d(padded, self.convolution.weight * self.mask, self.convolution.bias)


class MaskedStack(nn.Module):
    """Pictures `(B, 1, H, W)` and conditioning maps `(B, maps, H, W)` -> features `(B, channels, H, W)`.

    The receptive field is the pixels before, at most `reach` rows up and `reach` columns aside; in the maps, also the
    pixel's own place. At every layer the maps are added again.

    Raises:
        ValueError: the reach is below 1.
    """

    def __init__(self, maps: int, channels: int, reach: int) -> None:
        super().__init__()
        if reach < 1:
            raise ValueError(f"a reach of {reach} pixels: expected at least 1")
        self.first = MaskedConv2d(1, channels, 1, own=False)
        self.further = nn.ModuleList(MaskedConv2d(channels, channels, 1, own=True) for _ in range(reach - 1))
        self.conditions = nn.ModuleList(nn.Conv2d(maps, channels, 1, bias=False) for _ in range(reach))

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        """Return the features."""
        first, *others = self.conditions
        features = self.first(x) + first(maps)
        for layer, condition in zip(self.further, others, strict=True):
            features = features + layer(F.relu(features)) + condition(maps)
        return F.relu(features)
