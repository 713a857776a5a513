"""How well scores rank what has a tag before what has not: the areas under two curves, over any number of tags."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Labels = NDArray[np.bool_]


def roc_auc(labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """Return by tag how often what has it scores higher than what has not, ties counting half: `(n, K)` to `(K,)`.

    NaN where all or none have a tag.
    """
    return np.array([_roc_auc(*column) for column in zip(labels.T, scores.T, strict=True)])


def pr_auc(labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """Return by tag the average precision, the area under precision over recall in steps: `(n, K)` to `(K,)`.

    NaN where none have a tag.
    """
    return np.array([_average_precision(*column) for column in zip(labels.T, scores.T, strict=True)])


def _roc_auc(labels: Labels, scores: Scores) -> float:
    """Return it from the sum of ranks (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    positive = int(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:
        return float("nan")
    excess = float(rankdata(scores)[labels].sum()) - positive * (positive + 1) / 2
    return excess / (positive * negative)


def _average_precision(labels: Labels, scores: Scores) -> float:
    if not labels.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # equal scores come at once
    found = np.cumsum(labels[order])[ends]
    return float(np.sum(found / (ends + 1) * np.diff(found, prepend=0)) / found[-1])
