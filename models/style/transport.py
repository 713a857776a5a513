"""The optimal-transport map between Gaussian styles, the geodesic that it spans, and the Wasserstein distance.

Of all maps that turn frames of one mean and covariance into frames of another, this moves them the least
(Olkin and Pukelsheim 1982; Takatsu 2011 for the geodesic). It is affine with a symmetric positive matrix: it
neither turns nor flips features. All of it is float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.models.style.gaussian import Doubles, Gaussian, mixed

_FLOOR = 1e-12
"""By which part of the largest variance of the two styles all variances are raised.

Where neither style varies the map is then the identity, and no gain passes 1e6.
"""

_LEAST = 1e-30
"""The least by which variances are raised, for styles that do not vary at all."""


@dataclass(frozen=True)
class Affine:
    """`x -> x @ matrix + offset` for frames `x` `(..., D)`; the matrix `(D, D)` is symmetric."""

    matrix: Doubles
    offset: Doubles

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """Map frames, in their own precision."""
        moved: NDArray[Any] = x @ self.matrix.astype(x.dtype) + self.offset.astype(x.dtype)
        return moved

    def partly(self, strength: float) -> Affine:
        """Return the map that goes `strength` of the way (0 stays, 1 arrives) along the geodesic."""
        return Affine(mixed(np.eye(len(self.offset)), self.matrix, strength), self.offset * strength)


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
        matrix = mixed(np.eye(len(source)), _diagonal_map(source, target), 2 * tilt)
    else:
        matrix = mixed(_diagonal_map(source, target), _full_map(source, target), 2 * tilt - 1)
    return Affine(matrix, style.mean - matrix @ content.mean)


def blend(a: Gaussian, b: Gaussian, position: float) -> Gaussian:
    """Return the style at `position` (0 is `a`, 1 is `b`) on the Wasserstein geodesic between two styles."""
    source, target = _raised(a.covariance, b.covariance)
    matrix = mixed(np.eye(len(source)), _full_map(source, target), position)
    return Gaussian(mixed(a.mean, b.mean, position), matrix @ source @ matrix)


def _raised(source: Doubles, target: Doubles) -> tuple[Doubles, Doubles]:
    """Return both covariances, positive definite."""
    largest = float(max(source.diagonal().max(), target.diagonal().max()))
    ball = np.eye(len(source)) * max(largest * _FLOOR, _LEAST)
    return source + ball, target + ball


def _diagonal_map(source: Doubles, target: Doubles) -> Doubles:
    return np.diag(np.sqrt(target.diagonal() / source.diagonal()))


def _full_map(source: Doubles, target: Doubles) -> Doubles:
    """Return `T = A^-1 (A target A)^1/2 A^-1` with `A = source^1/2`, so that `T source T = target`.

    Multiplied out that loses half the digits, so it is reached another way. With `B = target^1/2` and the
    singular vectors `B A = U S V'`, the root in the middle is `V S V'`, and `V S = A B U` leaves `T = B U V'
    A^-1`.
    """
    values, vectors = np.linalg.eigh(source)
    # Rounding may leave the least eigenvalue of a raised matrix a little below what it was raised by.
    root = np.sqrt(np.maximum(values, _least_of(values)))
    a, inverse_a = (vectors * root) @ vectors.T, (vectors / root) @ vectors.T
    values, vectors = np.linalg.eigh(target)
    b = (vectors * np.sqrt(np.maximum(values, _least_of(values)))) @ vectors.T
    u, _, v = np.linalg.svd(b @ a)
    matrix: Doubles = b @ u @ v @ inverse_a
    return (matrix + matrix.T) / 2


def _least_of(values: Doubles) -> float:
    return max(float(values.max()) * _FLOOR / 2, _LEAST / 2)


class DistanceTo:
    """Squared 2-Wasserstein distance of Gaussians to one of them, whose matrix square root is computed once.

    It is the squared length of the geodesic of `transport`: zero only where that map is the identity.
    """

    def __init__(self, style: Gaussian) -> None:
        values, vectors = np.linalg.eigh(style.covariance)
        self._mean = style.mean
        self._root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        self._trace = float(np.trace(style.covariance))

    def __call__(self, other: Gaussian) -> float:
        """Return `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)` (Dowson and Landau 1982), never negative."""
        squares = np.linalg.eigvalsh(self._root @ other.covariance @ self._root)
        middle = np.sqrt(np.maximum(squares, 0)).sum()
        spread = self._trace + float(np.trace(other.covariance)) - 2 * float(middle)
        return float(np.square(self._mean - other.mean).sum()) + max(spread, 0.0)


def process_distance(a: Doubles, b: Doubles) -> float:
    """Return the square of the distance per step between stationary Gaussian processes with power spectra `(..., F)`.

    What the formula for Gaussians becomes where covariances are Toeplitz and so share their eigenvectors (Gray 2006).
    Spectra are densities over modulation frequencies whose mean is the variance; the mean over all leading axes.
    """
    return float(np.square(np.sqrt(np.maximum(a, 0)) - np.sqrt(np.maximum(b, 0))).mean())
