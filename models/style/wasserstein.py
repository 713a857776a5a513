"""How far one style is from another: the 2-Wasserstein distance between Gaussians.

The length of the geodesic whose map is `gramophone.models.style.transport`: zero only where the map is the identity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gramophone.models.style.gaussian import Gaussian


class DistanceTo:
    """Squares of the Wasserstein distances of Gaussians to one of them, whose root is taken once."""

    def __init__(self, style: Gaussian) -> None:
        values, vectors = torch.linalg.eigh(style.covariance)
        self._mean = style.mean
        self._root = (vectors * values.clamp_min(0).sqrt()) @ vectors.t()
        self._trace = style.covariance.trace()

    def __call__(self, other: Gaussian) -> Tensor:
        """Return `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)` (Dowson and Landau 1982), never negative."""
        middle = torch.linalg.eigvalsh(self._root @ other.covariance @ self._root).clamp_min(0).sqrt().sum()
        spread = self._trace + other.covariance.trace() - 2 * middle
        distance: Tensor = (self._mean - other.mean).square().sum() + spread.clamp_min(0)
        return distance


def process_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the square of the distance per step between stationary Gaussian processes with power spectra `(..., F)`.

    What the formula for Gaussians becomes where covariances are Toeplitz and so share their eigenvectors (Gray 2006).
    Spectra are densities over modulation frequencies whose mean is the variance; the mean over all leading axes.
    """
    return (a.clamp_min(0).sqrt() - b.clamp_min(0).sqrt()).square().mean()
