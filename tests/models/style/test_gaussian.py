"""Style statistics: the same however the frames are cut, and sane when frames are few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.models.style.gaussian import Moments, moments, oracle_shrinkage


def _frames(count, size=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) - 8


@settings(max_examples=50, deadline=None)
@given(
    chunks=st.lists(st.integers(0, 40), min_size=1, max_size=10),
    decay=st.sampled_from([1.0, 0.999, 0.9, 0.1]),
)
def test_any_chunks_give_the_same_moments(chunks, decay):
    frames = _frames(sum(chunks))
    whole = Moments.nothing(4).after(frames, decay)
    seen = Moments.nothing(4)
    for chunk in np.split(frames, np.cumsum(chunks)[:-1]):
        seen = seen.after(chunk, decay)
    for name in ("weight", "square_weight", "mean", "scatter"):
        np.testing.assert_allclose(getattr(seen, name), getattr(whole, name), rtol=1e-9, atol=1e-9)


def test_moments_are_numpys():
    frames = _frames(300)
    seen = moments(frames)
    np.testing.assert_allclose(seen.mean, frames.mean(0))
    np.testing.assert_allclose(seen.scatter / seen.weight, np.cov(frames.T, bias=True))


def test_fading_moments_are_weighted_ones_without_bias_towards_the_start():
    frames, decay = _frames(60), 0.97
    weights = decay ** np.arange(59, -1, -1)
    seen = Moments.nothing(4).after(frames, decay)
    np.testing.assert_allclose(seen.mean, np.average(frames, axis=0, weights=weights))
    np.testing.assert_allclose(seen.scatter / seen.weight, np.cov(frames.T, bias=True, aweights=weights))
    first = Moments.nothing(4).after(frames[:1], decay)
    np.testing.assert_allclose(first.mean, frames[0])


def test_the_time_constant_is_when_a_third_of_the_past_is_left():
    old, new = np.zeros((100000, 1)), np.ones((500, 1))
    decay = float(np.exp(-1 / 500))
    seen = Moments.nothing(1).after(old, decay).after(new, decay)
    assert seen.mean[0] == pytest.approx(1 - np.exp(-1), abs=1e-6)
    assert seen.count == pytest.approx(1000, rel=0.01)


def test_a_large_offset_costs_no_precision():
    frames = _frames(2000)
    far = moments(frames + 1e6).gaussian().covariance
    np.testing.assert_allclose(far, moments(frames).gaussian().covariance, rtol=1e-7, atol=1e-7)


def test_shrinkage_beats_the_sample_when_frames_are_few_and_goes_when_they_are_many():
    # Neighbouring features correlate, as bands do.
    truth = 0.7 ** np.abs(np.arange(20.0)[:, None] - np.arange(20))
    factor = np.linalg.cholesky(truth)
    rng = np.random.default_rng(3)
    shrunk, sampled = [], []
    for _ in range(20):
        seen = moments(rng.normal(size=(25, 20)) @ factor.T)
        shrunk.append(np.square(seen.gaussian().covariance - truth).sum())
        sampled.append(np.square(seen.scatter / seen.weight - truth).sum())
    assert np.mean(shrunk) < 0.8 * np.mean(sampled)
    assert oracle_shrinkage(truth, 1e6) < 1e-4
    assert oracle_shrinkage(truth, 1) > oracle_shrinkage(truth, 30) > oracle_shrinkage(truth, 100) > 0


@pytest.mark.parametrize(
    "frames",
    [np.zeros((0, 3)), np.zeros((1, 3)), np.ones((50, 3)), _frames(2, 3), _frames(50, 1)],
    ids=["none", "one", "alike", "two", "one feature"],
)
def test_poor_frames_give_a_usable_style(frames):
    style = moments(frames).gaussian(floor=1e-3)
    assert np.isfinite(style.mean).all()
    assert np.linalg.eigvalsh(style.covariance).min() >= 1e-3 * (1 - 1e-9)


def test_a_decay_outside_its_range_is_refused():
    for decay in (0.0, 1.1, -1.0):
        with pytest.raises(ValueError, match="decay"):
            Moments.nothing(2).after(np.zeros((1, 2)), decay)
