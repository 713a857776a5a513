"""Gram matrices are means of products, and second moments."""

import numpy as np
import pytest
import torch

from gramophone.models.style.gaussian import moments
from gramophone.models.style.gram import gram


def test_entries_are_means_of_products_of_lagged_channels():
    x = torch.randn(2, 3, 40, dtype=torch.float64)
    lags = (0, 1, 7)
    got = gram(x, lags)
    assert got.shape == (2, 3, 3, 3)
    for b in range(2):
        for at, lag in enumerate(lags):
            truth = np.mean([np.outer(x[b, :, t], x[b, :, t - lag]) for t in range(lag, 40)], axis=0)
            np.testing.assert_allclose(got[b, at].numpy(), truth, atol=1e-12)


def test_lag_zero_is_covariance_plus_the_mean():
    x = torch.randn(1, 4, 100, dtype=torch.float64) + 3
    seen = moments(x[0].t())
    truth = torch.from_numpy(seen.scatter / seen.weight + np.outer(seen.mean, seen.mean))
    torch.testing.assert_close(gram(x)[0, 0], truth)


def test_repeating_a_texture_changes_nothing():
    x = torch.randn(1, 3, 50)
    torch.testing.assert_close(gram(x.repeat(1, 1, 4)), gram(x))


def test_lags_that_leave_nothing_are_refused():
    for lag in (-1, 5):
        with pytest.raises(ValueError, match="0 to 4, for 5 frames"):
            gram(torch.zeros(1, 2, 5), (0, lag))
