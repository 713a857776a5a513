"""The map between styles: exact, optimal, and unbreakable."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.models.style.gaussian import Gaussian, moments
from gramophone.models.style.transport import blend, transport


def _style(size, seed, condition=100.0):
    rng = np.random.default_rng(seed)
    vectors = scipy.linalg.qr(rng.standard_normal((size, size)))[0]
    values = np.geomspace(1 / condition, 1, size) * rng.uniform(0.5, 2)
    covariance = (vectors * values) @ vectors.T
    return Gaussian(rng.standard_normal(size), (covariance + covariance.T) / 2)


pairs = st.tuples(st.integers(1, 8), st.integers(0, 1000), st.sampled_from([1.0, 10.0, 1e3, 1e5]))


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_the_full_map_carries_one_style_into_the_other(case):
    size, seed, condition = case
    a, b = _style(size, seed, condition), _style(size, seed + 5000, condition)
    move = transport(a, b)
    np.testing.assert_allclose(
        move.matrix @ a.covariance @ move.matrix, b.covariance, rtol=0, atol=1e-10 + 1e-11 * condition
    )
    np.testing.assert_allclose(move(a.mean), b.mean, rtol=0, atol=1e-8)
    assert np.linalg.eigvalsh(move.matrix).min() > 0


@settings(max_examples=30, deadline=None)
@given(pairs.filter(lambda case: case[2] <= 1e3))
def test_the_full_map_is_the_textbooks(case):
    size, seed, condition = case
    a, b = _style(size, seed, condition), _style(size, seed + 5000, condition)
    root = scipy.linalg.sqrtm(a.covariance).real
    inverse = np.linalg.inv(root)
    truth = inverse @ scipy.linalg.sqrtm(root @ b.covariance @ root).real @ inverse
    np.testing.assert_allclose(transport(a, b).matrix, truth, rtol=1e-5, atol=1e-5)


def test_the_diagonal_map_carries_variances_and_the_mean_map_the_mean():
    a, b = _style(5, 1), _style(5, 2)
    half = transport(a, b, tilt=0.5)
    np.testing.assert_allclose(
        (half.matrix @ a.covariance @ half.matrix).diagonal(), b.covariance.diagonal(), rtol=0, atol=1e-8
    )
    assert np.count_nonzero(half.matrix - np.diag(half.matrix.diagonal())) == 0
    mean_only = transport(a, b, tilt=0)
    assert np.array_equal(mean_only.matrix, np.eye(5))
    np.testing.assert_allclose(mean_only(a.mean), b.mean)


def test_every_tilt_carries_the_mean_and_moves_smoothly():
    a, b = _style(4, 3), _style(4, 4)
    maps = [transport(a, b, tilt / 100) for tilt in range(101)]
    for move in maps:
        np.testing.assert_allclose(move(a.mean), b.mean, rtol=0, atol=1e-9)
        assert np.linalg.eigvalsh(move.matrix).min() > 0
    jumps = [np.abs(p.matrix - q.matrix).max() for p, q in pairwise(maps)]
    assert max(jumps) <= 0.05 * max(np.abs(move.matrix).max() for move in maps)
    with pytest.raises(ValueError, match="tilt"):
        transport(a, b, 1.1)


def test_strength_runs_from_staying_to_arriving():
    a, b = _style(6, 5), _style(6, 6)
    move, x = transport(a, b), np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    np.testing.assert_allclose(move.partly(0)(x), x, rtol=1e-6)
    np.testing.assert_allclose(move.partly(1)(x), move(x), rtol=1e-6)
    np.testing.assert_allclose(move.partly(0.25)(x), 0.75 * x + 0.25 * move(x), rtol=1e-4, atol=1e-5)
    assert move(x).dtype == np.float32


def _distance(a, b):
    """Return the Wasserstein distance between Gaussians (Givens and Shortt 1984), the slow way."""
    root = scipy.linalg.sqrtm(a.covariance).real
    cross = scipy.linalg.sqrtm(root @ b.covariance @ root).real
    spread = np.trace(a.covariance + b.covariance - 2 * cross)
    return float(np.sqrt(max(np.square(a.mean - b.mean).sum() + spread, 0)))


def test_a_blend_is_as_far_along_the_geodesic_as_asked():
    a, b = _style(5, 7), _style(5, 8)
    whole = _distance(a, b)
    for position in (0.0, 0.2, 0.7, 1.0):
        middle = blend(a, b, position)
        assert _distance(a, middle) == pytest.approx(position * whole, abs=1e-4)
        assert _distance(middle, b) == pytest.approx((1 - position) * whole, abs=1e-4)


def test_a_blend_is_what_the_frames_become_partly_moved():
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(20_000, 3)) @ rng.normal(size=(3, 3))
    a, b = moments(frames).gaussian(), _style(3, 9)
    moved = moments(transport(a, b).partly(0.4)(frames))
    middle = blend(a, b, 0.4)
    np.testing.assert_allclose(moved.mean, middle.mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(moved.scatter / moved.weight, middle.covariance, rtol=0.01, atol=0.01)


POOR = {
    "silence": np.zeros((6, 6)),
    "rank one": np.ones((6, 6)),
    "one dead band": np.diag([1.0, 1, 1, 0, 1, 1]),
    "tiny": np.eye(6) * 1e-200,
    "huge": np.eye(6) * 1e12,
    "nearly singular": np.diag(np.logspace(0, -18, 6)),
    "good": np.eye(6),
}


@pytest.mark.parametrize("source", POOR)
@pytest.mark.parametrize("target", POOR)
def test_no_style_breaks_the_map(source, target):
    a, b = (Gaussian(np.zeros(6), POOR[name]) for name in (source, target))
    for tilt in (0.0, 0.5, 1.0):
        matrix = transport(a, b, tilt).matrix
        assert np.isfinite(matrix).all()
        assert np.abs(matrix).max() <= 1.01e6
    middle = blend(a, b, 0.5)
    assert np.isfinite(middle.covariance).all()
    if source == target:
        np.testing.assert_allclose(transport(a, b).matrix, np.eye(6), rtol=0, atol=1e-3)
