"""Reordering and sign changes of latents, made in the weights on both sides of them: the output stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gramophone.models.layers.convolution import CausalConv1d


@dataclass(frozen=True)
class LatentOrder:
    """New latent `i` is old latent `order[i]` times `signs[i]`.

    Raises:
        ValueError: not every latent is named once, or a sign is neither 1 nor -1.
    """

    order: Sequence[int]
    signs: Sequence[int]

    def __post_init__(self) -> None:
        latents = len(self.order)
        if sorted(self.order) != list(range(latents)) or len(self.signs) != latents or not set(self.signs) <= {1, -1}:
            raise ValueError(
                f"order {list(self.order)}, signs {list(self.signs)}: expected each of {latents} latents once, 1 or -1"
            )

    @torch.no_grad()
    def give(self, layer: CausalConv1d) -> None:
        """Rearrange the output channels of an encoder's last layer: means, then log scales."""
        places, turned = torch.tensor(self.order), torch.tensor(self.signs).to(layer.weight)
        both = torch.cat([places, places + len(places)])
        scaled = torch.cat([turned, torch.ones_like(turned)])
        layer.weight.copy_(layer.weight[:, :, both] * scaled)
        layer.bias.copy_(layer.bias[both] * scaled)

    @torch.no_grad()
    def take(self, weight: Tensor, dimension: int) -> None:
        """Rearrange the weights of a layer that takes latents, along their input dimension."""
        shape = [-1 if place == dimension % weight.ndim else 1 for place in range(weight.ndim)]
        turned = torch.tensor(self.signs).to(weight).reshape(shape)
        weight.copy_(weight.index_select(dimension, torch.tensor(self.order)) * turned)
