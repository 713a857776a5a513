"""Digits are read whole or refused by name, and a VAE of them does as one written in NumPy does."""

import gzip

import numpy as np
import pytest
import torch
from support import numpy_vae

from gramophone.models.checkpoint import load
from gramophone.models.nets.digits import PIXELS, DigitsShape, DigitsVAE
from gramophone.offline.data import mnist
from gramophone.offline.train.digit_scores import drawn, grey, score
from gramophone.offline.train.plan import TrainingError
from gramophone.offline.train.plans import DigitsPlan
from gramophone.offline.train.run import Machine
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.vae import train_digits


def idx(array, kind=8):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, kind, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def digits(count, seed=0):
    chance = np.random.default_rng(seed)
    return chance.integers(0, 256, (count, 28, 28)), np.arange(count) % 10


@pytest.fixture
def folder(tmp_path):
    for name, count in (("train", 60), ("t10k", 20)):
        images, labels = digits(count, count)
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{name}-labels.idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


def test_the_official_files_are_read_packed_or_not_and_spelt_either_way(folder):
    learnt, tested = mnist.official(folder)
    images, labels = digits(60, 60)
    assert np.array_equal(learnt.images, images)
    assert np.array_equal(learnt.labels, labels)
    assert tested.images.shape == (20, 28, 28)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda whole: whole[:-1], "60 x 28 x 28"),
        (lambda whole: whole + b"x", "47041 bytes; expected 47040"),
        (lambda whole: whole[:9], "9 bytes that begin with 00000803"),
        (lambda whole: b"", "0 bytes that begin with nothing"),
        (lambda whole: gzip.compress(whole)[:-9], "truncated"),
        (lambda whole: gzip.compress(whole)[:3], "truncated"),
        (lambda whole: gzip.compress(whole)[:1000] + b"\0" * 1000, "truncated"),
        (lambda whole: idx(np.zeros((60, 28, 28)), kind=9), "expected an IDX file of bytes"),
        (lambda whole: b"<html>not found</html>", "expected an IDX file of bytes"),
        (lambda whole: idx(np.zeros((60, 27, 28))), r"expected \(28, 28\)"),
        (lambda whole: idx(np.zeros((59, 28, 28))), "labels for 59 pictures"),
    ],
    ids=[
        "cut",
        "longer",
        "cut header",
        "empty",
        "cut gzip",
        "cut gzip header",
        "bad gzip",
        "type",
        "html",
        "size",
        "count",
    ],
)
def test_a_damaged_file_is_refused_by_name_and_left_as_it_is(folder, damage, says):
    (folder / "train-images-idx3-ubyte.gz").unlink()
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(damage(idx(digits(60)[0])))
    before = path.read_bytes()
    with pytest.raises(mnist.MnistError, match=says) as error:
        mnist.official(folder)
    assert str(folder) in str(error.value)
    assert path.read_bytes() == before


def test_labels_beyond_nine_and_missing_files_are_refused(folder):
    (folder / "t10k-labels.idx1-ubyte").write_bytes(idx(np.full(20, 10)))
    with pytest.raises(mnist.MnistError, match="a label 10; expected 0 to 9"):
        mnist.official(folder)
    (folder / "t10k-labels.idx1-ubyte").unlink()
    with pytest.raises(mnist.MnistError, match=r"no t10k-labels-idx1-ubyte and no t10k-labels-idx1-ubyte\.gz"):
        mnist.official(folder)


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A cache that has 200 digits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "gramophone" / "mnist"
    place.mkdir(parents=True)
    images, labels = digits(200)
    mnist.write_idx(place / "npm-images-idx3-ubyte.gz", images.astype(np.uint8))
    mnist.write_idx(place / "npm-labels-idx1-ubyte.gz", labels.astype(np.uint8))
    return images, labels


def test_every_tenth_packaged_digit_is_for_testing(packaged):
    learnt, tested = mnist.packaged()
    assert np.array_equal(tested.images, packaged[0][9::10])
    assert len(learnt.labels) == 180
    assert not {image.tobytes() for image in learnt.images} & {image.tobytes() for image in tested.images}


def test_drawn_pixels_have_the_grey_levels_as_their_mean():
    levels = grey(digits(2)[0].astype(np.uint8))
    mean = torch.stack([drawn(levels, 7, number) for number in range(2000)]).mean(0)
    torch.testing.assert_close(mean, levels, rtol=0, atol=0.06)
    assert torch.equal(drawn(levels, 7, 3), drawn(levels, 7, 3))


def test_bound_and_gradients_are_those_written_by_hand_in_numpy():
    chance = np.random.default_rng(3)
    weights, biases = numpy_vae.initial(chance, latents=5, hidden=16)
    x, noise = chance.random((7, PIXELS)), chance.standard_normal((7, 5))
    model = DigitsVAE(DigitsShape(latents=5, hidden=16)).double()
    layers = [model.encoder[0], model.encoder[2], model.decoder[0], model.decoder[2]]
    with torch.no_grad():
        for layer, weight, bias in zip(layers, weights, biases, strict=True):
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))
    posterior = model.posterior(torch.from_numpy(x))
    posterior.rsample = lambda: posterior.mean + posterior.scale * torch.from_numpy(noise)
    model.posterior = lambda x: posterior
    found = model(torch.from_numpy(x))
    found.loss(weight=0.3).backward()
    likelihood, kl, _ = numpy_vae.bound(weights, biases, x, noise)
    np.testing.assert_allclose(found.likelihood.detach(), likelihood)
    np.testing.assert_allclose(found.kl.sum(1).detach(), kl)
    expected = numpy_vae.gradients(weights, biases, x, noise, kl_weight=0.3)
    ours = [layer.weight.grad.T for layer in layers] + [layer.bias.grad for layer in layers]
    for gradient, by_hand in zip(ours, expected, strict=True):
        np.testing.assert_allclose(gradient, by_hand, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "shape", [DigitsShape(4, 16), DigitsShape(4, 16, reach=2, channels=4), DigitsShape(4, 16, couplings=2)]
)
def test_every_shape_gives_a_bound_scores_and_pictures(shape):
    torch.manual_seed(0)
    model = DigitsVAE(shape)
    x = drawn(torch.full((6, PIXELS), 0.2), 1)
    assert model(x).elbo.shape == (6,)
    found = score(model, x, samples=4)
    assert found["elbo"] == pytest.approx(found["right"] - found["kl"], abs=1e-3)
    assert found["importance"] > found["elbo"] - 5
    pictures = model.conditional(torch.randn(2, 4)).sample()
    assert set(pictures.unique().tolist()) <= {0.0, 1.0}
    assert pictures.shape == (2, PIXELS)


@pytest.mark.filterwarnings("ignore:.*zero-element", "ignore:.*degrees of freedom")
def test_without_latents_it_is_the_unconditional_twin():
    model = DigitsVAE(DigitsShape(0, 16, reach=1, channels=2))
    x = drawn(torch.full((6, PIXELS), 0.2), 1)
    found = score(model, x, samples=2)
    assert found["kl"] == 0
    assert found["elbo"] == pytest.approx(found["importance"], abs=1e-3) == pytest.approx(found["zero"], abs=1e-3)
    assert not found["active"]


def test_a_run_that_was_killed_ends_as_one_that_was_not(packaged, tmp_path):
    plan = DigitsPlan(latents=2, hidden=8, reach=1, channels=2, binary=True, steps=150, batch=20, every=150)

    def die(line):
        if line.get("step") == 100 and "bits" in line:
            raise ConnectionAbortedError

    whole, broken = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken")
    train_digits(plan, whole, Machine("cpu"), lambda line: None)
    with pytest.raises(ConnectionAbortedError):
        train_digits(plan, broken, Machine("cpu"), die)
    train_digits(plan, broken, Machine("cpu"), lambda line: None)
    model, card = load(whole.model, "digits")
    again, _ = load(broken.model, "digits")
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    assert card.steps == 150
    assert 0 < card.scores["digits"] < 2
    with pytest.raises(TrainingError, match="latents was 2, now 3"):
        train_digits(DigitsPlan(**{**plan.__dict__, "latents": 3}), whole, Machine("cpu"), print)


def test_pixels_that_hear_each_other_must_be_black_or_white():
    with pytest.raises(TrainingError, match="--binary"):
        DigitsPlan(reach=2)
