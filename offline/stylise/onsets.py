"""When something begins: how much louder bands become from frame to frame (spectral flux; Böck and Widmer 2013)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST = 1e-9


def onset_envelope(levels: Tensor) -> Tensor:
    """Return the rise of log levels `(..., bands, n)` from each frame to the next, mean over bands: `(..., n - 1)`."""
    return F.relu(levels.diff(dim=-1)).mean(-2)


def unlike(found: Tensor, wanted: Tensor) -> Tensor:
    """Return how little one envelope `(..., n)` moves as another does: 1 less their correlation, 0 to 2."""
    found, wanted = (x.flatten() - x.mean() for x in (found, wanted))
    norms = torch.linalg.vector_norm(found) * torch.linalg.vector_norm(wanted)
    lost: Tensor = 1 - (found * wanted).sum() / (norms + _LEAST)
    return lost
