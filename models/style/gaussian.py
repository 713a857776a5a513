"""Gaussian style statistics: the mean and covariance of frames, computed at once or from a stream.

`Moments` are what a stream has shown so far, with old frames fading; `Gaussian` is what one believes after
seeing them, pulled towards a ball where the frames are too few to tell. Everything is float64: the map
between styles takes inverse square roots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """A style: mean `(D,)` and covariance `(D, D)`, float64."""

    mean: Doubles
    covariance: Doubles


@dataclass(frozen=True)
class Moments:
    """Weighted sums over frames, newest first in weight.

    `weight` and `square_weight` are the sums of the frames' weights and of their squares, `mean` `(D,)` the
    weighted mean and `scatter` `(D, D)` the weighted sum of outer products about it. Dividing by the weight
    that is really there leaves no bias towards the start.
    """

    weight: float
    square_weight: float
    mean: Doubles
    scatter: Doubles

    @staticmethod
    def nothing(size: int) -> Moments:
        """Return the moments of no frames of `size` features."""
        return Moments(0.0, 0.0, np.zeros(size), np.zeros((size, size)))

    @property
    def count(self) -> float:
        """How many equally weighted frames would be as good (Kish 1965)."""
        return self.weight**2 / self.square_weight if self.square_weight else 0.0

    def after(self, frames: ArrayLike, decay: float = 1.0) -> Moments:
        """Return the moments once `frames` `(n, D)`, oldest first, have passed too.

        Each frame multiplies the weight of those before it by `decay`, so frames may come in any chunks:
        `exp(-1 / frames)` forgets with a time constant in frames, 1 never forgets.

        Raises:
            ValueError: the decay is not within 0 (excluded) to 1.
        """
        if not 0 < decay <= 1:
            raise ValueError(f"decay {decay}: expected above 0 and at most 1")
        known = np.asarray(frames, np.float64)
        if not len(known):
            return self
        weights = decay ** np.arange(len(known) - 1.0, -1.0, -1.0)
        weight = float(weights.sum())
        mean = weights @ known / weight
        centred = known - mean
        # Two sets of frames merged about their common mean (Chan, Golub and LeVeque 1983): no large sums of
        # squares are subtracted, so the scatter stays positive.
        fade = decay ** len(known)
        old, total = self.weight * fade, self.weight * fade + weight
        step = mean - self.mean
        scatter = self.scatter * fade + (centred.T * weights) @ centred
        return Moments(
            total,
            self.square_weight * fade**2 + float(np.square(weights).sum()),
            self.mean + step * (weight / total),
            scatter + np.outer(step, step) * (old * weight / total),
        )

    def gaussian(self, floor: float = 0.0) -> Gaussian:
        """Return the style: covariance shrunk as far as the count demands, `floor` added to its variances.

        Before the first frame that is a zero mean and a ball of the floor.
        """
        size = len(self.mean)
        ball = np.eye(size)
        if not self.weight:
            return Gaussian(self.mean, ball * floor)
        sample = self.scatter / self.weight
        shrinkage = oracle_shrinkage(sample, self.count)
        target = ball * (np.trace(sample) / size)
        return Gaussian(self.mean, mixed(sample, target, shrinkage) + ball * floor)


def moments(frames: ArrayLike) -> Moments:
    """Return the moments of `frames` `(n, D)`, all of the same weight."""
    known = np.asarray(frames, np.float64)
    return Moments.nothing(known.shape[1]).after(known)


def mixed(a: Doubles, b: Doubles, share: float) -> Doubles:
    """Return `a` at a share of 0 and `b` at 1, both exactly, and between them in a straight line."""
    return a + share * (b - a) if share < 0.5 else b - (1 - share) * (b - a)


def oracle_shrinkage(covariance: Doubles, count: float) -> float:
    """Return how far, 0 to 1, to shrink the covariance of `count` frames towards the ball of equal trace.

    The oracle-approximating estimate of Chen, Wiesel, Eldar and Hero, "Shrinkage algorithms for MMSE
    covariance estimation", 2010, equation 23.
    """
    size = len(covariance)
    squares = float(np.square(covariance).sum())
    trace_squared = float(np.trace(covariance)) ** 2
    spread = squares - trace_squared / size  # how far from a ball the sample is
    if spread <= 0:
        return 1.0
    correction = 1 - 2 / size
    return min(1.0, (correction * squares + trace_squared) / ((count + correction) * spread))
