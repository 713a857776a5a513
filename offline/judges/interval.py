"""A mean with its number of cases and confidence interval: the percentile bootstrap (Efron 1979)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_DRAWS = 2000
_TAILS = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A mean, or a ratio of sums, of `n` cases, and the bounds within which it lies with 95 % confidence."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f}, n {self.n})"


def bootstrap(values: ArrayLike, of: ArrayLike | None = None) -> Interval:
    """Return the mean of values that are not NaN, or the ratio of their sum to that of `of`; NaN if there are none."""
    parts = np.asarray(values, np.float64)
    wholes = np.ones_like(parts) if of is None else np.asarray(of, np.float64)
    known = ~np.isnan(parts) & ~np.isnan(wholes)
    parts, wholes = parts[known], wholes[known]
    if not wholes.sum():
        return Interval(np.nan, np.nan, np.nan, 0)
    drawn = np.random.default_rng(0).integers(len(parts), size=(_DRAWS, len(parts)))
    sums = wholes[drawn].sum(axis=1)
    means = parts[drawn].sum(axis=1)[sums > 0] / sums[sums > 0]
    low, high = np.percentile(means, _TAILS)
    return Interval(float(parts.sum() / wholes.sum()), float(low), float(high), len(parts))
