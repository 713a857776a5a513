"""A bootstrap interval holds the mean, shrinks with the number of cases and knows nothing of cases that are NaN."""

import numpy as np
import pytest

from gramophone.offline.judges.interval import bootstrap

pytestmark = pytest.mark.slow


def test_the_mean_lies_within_its_bounds_and_more_cases_narrow_them():
    cases = np.random.default_rng(1).standard_normal(400) + 3
    few, many = bootstrap(cases[:20]), bootstrap(cases)
    for found in (few, many):
        assert found.low < found.mean < found.high
    assert many.high - many.low < few.high - few.low
    assert many.mean == pytest.approx(cases.mean())
    assert many.high - many.low == pytest.approx(2 * 1.96 * cases.std() / 20, rel=0.15)  # the normal approximation


def test_cases_that_are_not_known_do_not_count():
    assert bootstrap([1.0, np.nan, 3.0]) == bootstrap([1.0, 3.0])
    assert bootstrap([np.nan]).n == 0
    assert np.isnan(bootstrap([]).mean)


def test_a_ratio_is_of_sums():
    assert bootstrap([1.0, 0.0, 5.0], [2.0, 4.0, 6.0]).mean == pytest.approx(0.5)


def test_what_never_varies_has_no_width():
    found = bootstrap([0.25] * 9)
    assert (found.low, found.mean, found.high, found.n) == (0.25, 0.25, 0.25, 9)
