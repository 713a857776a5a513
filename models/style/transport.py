"""The optimal-transport map between Gaussian styles, the geodesic that it spans, and the Wasserstein distance.

Of all maps that turn frames of one mean and covariance into frames of another, this moves them the least
(Olkin and Pukelsheim 1982; Takatsu 2011 for the geodesic). It is affine with a symmetric positive matrix: it
neither turns nor flips features. All of it is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gramophone.models.style.gaussian import Gaussian

_FLOOR = 1e-12
"""By which part of the largest variance of the two styles all variances are raised.

Where neither style varies the map is then the identity, and no gain passes 1e6.
"""

_LEAST = 1e-30
"""The least by which variances are raised, for styles that do not vary at all."""


@dataclass(frozen=True)
class Affine:
    """`x -> x @ matrix + offset` for frames `x` `(..., D)`; the matrix `(D, D)` is symmetric."""

    matrix: Tensor
    offset: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map frames, in their own precision."""
        return x @ self.matrix.to(x.dtype) + self.offset.to(x.dtype)

    def partly(self, strength: float) -> Affine:
        """Return the map that goes `strength` of the way (0 stays, 1 arrives) along the geodesic."""
        stay = torch.eye(len(self.offset), dtype=self.matrix.dtype, device=self.matrix.device)
        return Affine(torch.lerp(stay, self.matrix, strength), self.offset * strength)


def transport(content: Gaussian, style: Gaussian, tilt: float = 1.0) -> Affine:
    """Return the map from `content` to `style`: `y = style.mean + T (x - content.mean)`.

    `tilt` says how much of the style's covariance is asked for: 0 the mean only (`T` the identity), 0.5 the
    variance of each feature (`T` diagonal), 1 all of it; between them `T` is mixed, and a mix of optimal maps
    is optimal for where it leads.

    Raises:
        ValueError: the tilt is not within 0 to 1.
    """
    if not 0 <= tilt <= 1:
        raise ValueError(f"tilt {tilt}: expected 0 to 1")
    source, target = _raised(content.covariance, style.covariance)
    if tilt <= 0.5:
        matrix = torch.lerp(torch.eye(len(source)).to(source), _diagonal_map(source, target), 2 * tilt)
    else:
        matrix = torch.lerp(_diagonal_map(source, target), _full_map(source, target), 2 * tilt - 1)
    return Affine(matrix, style.mean.double() - matrix @ content.mean.double())


def blend(a: Gaussian, b: Gaussian, position: float) -> Gaussian:
    """Return the style at `position` (0 is `a`, 1 is `b`) on the Wasserstein geodesic between two styles."""
    source, target = _raised(a.covariance, b.covariance)
    stay = torch.eye(len(source)).to(source)
    matrix = torch.lerp(stay, _full_map(source, target), position)
    mean = torch.lerp(a.mean.double(), b.mean.double(), position)
    return Gaussian(mean, matrix @ source @ matrix)


def _raised(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both covariances in float64, positive definite."""
    source, target = source.double(), target.double()
    largest = float(torch.maximum(source.diagonal().amax(), target.diagonal().amax()))
    ball = torch.eye(len(source)).to(source) * max(largest * _FLOOR, _LEAST)
    return source + ball, target + ball


def _diagonal_map(source: Tensor, target: Tensor) -> Tensor:
    return (target.diagonal() / source.diagonal()).sqrt().diag()


def _full_map(source: Tensor, target: Tensor) -> Tensor:
    """Return `T = A^-1 (A target A)^1/2 A^-1` with `A = source^1/2`, so that `T source T = target`.

    Multiplied out that loses half the digits, so it is reached another way. With `B = target^1/2` and the
    singular vectors `B A = U S V'`, the root in the middle is `V S V'`, and `V S = A B U` leaves `T = B U V'
    A^-1`.
    """
    values, vectors = torch.linalg.eigh(source)
    # Rounding may leave the least eigenvalue of a raised matrix a little below what it was raised by.
    root = values.clamp_min(_least_of(values)).sqrt()
    a, inverse_a = (vectors * root) @ vectors.t(), (vectors / root) @ vectors.t()
    values, vectors = torch.linalg.eigh(target)
    b = (vectors * values.clamp_min(_least_of(values)).sqrt()) @ vectors.t()
    u, _, v = torch.linalg.svd(b @ a)
    matrix: Tensor = b @ u @ v @ inverse_a
    return (matrix + matrix.t()) / 2


def _least_of(values: Tensor) -> float:
    return max(float(values.amax()) * _FLOOR / 2, _LEAST / 2)


class DistanceTo:
    """Squared 2-Wasserstein distance of Gaussians to one of them, whose matrix square root is computed once.

    It is the squared length of the geodesic of `transport`: zero only where that map is the identity.
    """

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
