"""A small VLAE checkpoint, and the latent stage that plays it."""

import pytest
import torch

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.vlae import VLAE, VLAEShape
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.kernels import executor
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.latent.stage import LatentStage

RATE = 24_000


SHAPE = VLAEShape(
    rate=8_000,
    bands=8,
    mel_hop=32,
    mel_window=128,
    width=8,
    units=1,
    latents=3,
    layers=4,
    cycle=4,
    residual=8,
    skip=8,
    emphasis=0.5,
    speakers=3,
    speaker=4,
    prior=0,
)


SPEAKERS = ("anna", "bob", "eve:2")


LATENTS = ("z1 brightness +", "z2", "loudness")


@pytest.fixture(scope="module", autouse=True)
def exports(tmp_path_factory):
    """What is exported for the tests is not kept in the user's cache."""
    usual = executor.make.__kwdefaults__["cache"]
    executor.make.__kwdefaults__["cache"] = tmp_path_factory.mktemp("onnx")
    yield
    executor.make.__kwdefaults__["cache"] = usual


def checkpoint(path, shape=SHAPE, **card):
    """A model with random weights whose output depends on its input."""
    torch.manual_seed(0)
    model = VLAE(shape).eval().requires_grad_(False)
    model.wavenet.head[3].weight.mul_(8)
    model.wavenet.biases.weight.mul_(4)
    model.encoder.layers[-1].weight.mul_(4)
    known = {"hop": shape.hop, "delay": model.delay, "speakers": SPEAKERS[: shape.speakers], "latents": LATENTS}
    save(path, model, Card(**{"rate": shape.rate} | known | card))
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "net.safetensors"
    checkpoint(path)
    return str(path)


def stage(model, rate=RATE, channels=1, **values):
    return LatentStage(Format(rate, channels), {"model": model, **values})


def write(path, sound, rate=SHAPE.rate):
    with AudioWriter(path, rate, 1, len(sound)) as writer:
        writer.write(sound[None])
    return str(path)
