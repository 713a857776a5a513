"""Gram matrices: the second moments of features that neural style matches (Gatys, Ecker and Bethge 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gram(features: Tensor, lags: Sequence[int] = (0,)) -> Tensor:
    """Return the mean products of all pairs of channels, `lags` frames apart.

    Shape: features `(B, C, T)` -> `(B, len(lags), C, C)`, where entry `[b, l, i, j]` is the mean over time of
    `features[b, i, t] * features[b, j, t - lags[l]]`. Being a mean it depends neither on length nor on batch;
    lag 0 is the covariance plus the outer product of the mean. Later lags capture how a texture evolves (Antognini
    et al. 2019).

    Raises:
        ValueError: a lag is negative, or leaves no frame to pair.
    """
    time = features.shape[-1]
    if any(not 0 <= lag < time for lag in lags):
        raise ValueError(f"lags {tuple(lags)}: expected 0 to {time - 1}, for {time} frames")
    pairs = [features[..., lag:] @ features[..., : time - lag].transpose(-1, -2) / (time - lag) for lag in lags]
    return torch.stack(pairs, 1)
