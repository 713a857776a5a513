"""What the content encoder learns from is lined up with the teacher, without the speaker, and as long as the sound."""

import numpy as np
import pytest
import torch

from gramophone.models.nets.content import ContentEncoder, ContentShape, causal_trunk
from gramophone.offline.data.mono_audio import RATE
from gramophone.offline.data.moonshine import CHANNELS, FIRST, STRIDE
from gramophone.offline.recipes.content import Crops, basis_of, refit
from gramophone.offline.train.content_examples import (
    FACTORS,
    WORN,
    copies,
    examples,
    feature_places,
    load_examples,
    save_examples,
    without_speaker,
    worn,
)

HOP = 128


class Clock:
    """A teacher whose features are the sample that each is centred on, as many as Moonshine gives."""

    def features(self, sound):
        count = max((len(sound) - 2 * FIRST - 1) // STRIDE + 1, 0)
        return np.repeat((FIRST + STRIDE * np.arange(count, dtype=np.float32))[:, None], CHANNELS, 1)


class Chance:
    """A teacher whose features are random."""

    def features(self, sound):
        return np.random.default_rng(len(sound)).standard_normal((len(sound) // STRIDE - 2, CHANNELS)).astype("f")


def noise(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def test_an_output_is_paired_with_the_feature_of_the_time_that_it_speaks_of():
    said = Clock().features(noise(2))[:, 0]
    places = feature_places(2 * RATE // HOP, HOP, ahead=3)
    for output in (20, 21, 22, 100):
        below = int(places[output])
        share = places[output] - below
        sample = said[below] * (1 - share) + said[below + 1] * share
        assert sample == pytest.approx((output - 3 + 0.5) * HOP)


def test_features_lose_the_speakers_mean_and_spread_over_what_is_audible():
    chance = np.random.default_rng(1)
    features = (3 + 2 * chance.standard_normal((300, CHANNELS))).astype(np.float32)
    features[200:] = 100  # silence, which does not count
    places = np.arange(0, 299, 0.5, dtype=np.float32)
    weights = np.where(places < 199, 1.0, 0.1).astype(np.float32)
    left = without_speaker(features, places, weights)[:199]
    np.testing.assert_allclose(left.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(left.std(axis=0), 1, rtol=1e-2)


@pytest.mark.parametrize("kind", WORN)
def test_what_is_worn_is_as_long_and_still_like_the_sound(kind):
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32) * 0.1
    heard = worn(kind, np.random.default_rng(3))(tone)
    assert heard.shape == tone.shape
    assert np.corrcoef(heard, tone)[0, 1] > 0.5
    assert not np.allclose(heard, tone)


def test_a_faster_copy_is_shorter_and_the_teacher_hears_it_as_well():
    (pair,) = copies([noise(3)], "faster", 60.0, np.random.default_rng(0))
    assert len(pair[0]) == pytest.approx(3 * RATE / FACTORS["faster"], rel=1e-3)
    assert pair[0] is pair[1]
    assert len(copies([noise(3)] * 9, "plain", 7.0, np.random.default_rng(0))) == 3


def test_examples_are_kept_and_cropped(tmp_path):
    torch.manual_seed(0)
    encoder = ContentEncoder(ContentShape(width=8, dilations=(1,), content=7))
    kept = examples(encoder, Chance(), [(noise(3, seed), noise(3, seed)) for seed in range(2)])
    assert kept.inputs.shape == (2 * 3 * RATE // HOP, encoder.channels)
    assert len(kept.places) == len(kept.weights) == len(kept.inputs)
    assert 0 <= kept.places.min() <= kept.places.max() <= len(kept.features) - 1
    save_examples(tmp_path / "ann.plain.npz", kept)
    (loaded,) = load_examples(tmp_path.glob("*.npz")).values()
    np.testing.assert_array_equal(loaded.inputs, kept.inputs)
    basis = basis_of({"ann.plain": kept}, 7)
    inputs, content, weights = Crops(tmp_path, basis, 0).batch()
    assert inputs.shape[1:] == (encoder.channels, content.shape[2])
    assert content.shape[1] == 2 * 7
    assert weights.shape == content.shape
    assert set(weights[:, :, 0].flatten().tolist()) == {0.0}
    late, early = content.chunk(2, 1)  # the early half says two frames before what the late half says
    np.testing.assert_array_equal(late[..., 2:], early[..., :-2])


def test_too_little_is_refused():
    with pytest.raises(ValueError, match="100 ms"):
        examples(ContentEncoder(ContentShape()), Chance(), [(noise(0.05), noise(0.05))])


def test_the_last_layer_is_fitted_anew_to_other_components():
    torch.manual_seed(0)
    trunk, other = (causal_trunk(5, 8, (1, 2), 2 * 3) for _ in range(2))
    with torch.no_grad():
        for name, weights in trunk.named_parameters():
            other.get_parameter(name).copy_(weights)
        other.layers[-1].weight.normal_()

    class Drawn:
        def batch(self):
            inputs = torch.randn(4, 5, 60)
            content = other(inputs)[0].detach()
            return inputs, content, torch.ones_like(content)

    refit(trunk, Drawn())
    torch.testing.assert_close(trunk.layers[-1].weight, other.layers[-1].weight, rtol=0.02, atol=0.02)
