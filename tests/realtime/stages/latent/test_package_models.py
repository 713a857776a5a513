"""Kinds of models that other packages bring are saved, loaded, played by the latent stage and exported."""

import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from support.latent import exports  # noqa: F401 - keeps exports out of the user's cache
from support.stage import noise, play
from torch import nn

from gramophone.models import checkpoint
from gramophone.models.checkpoint import Card, CheckpointError, kind_of, load, save
from gramophone.offline.export.onnx_file import write_onnx
from gramophone.offline.export.parts import parts_of
from gramophone.realtime.stage import Format, StageError
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.latent.stage import LatentStage

sys.path.insert(0, str(Path(__file__).parents[4] / "examples" / "own_latents"))
example = importlib.import_module("folded")
Folded, FoldedShape = example.Folded, example.FoldedShape
CARD = Card(16_000, 64, licence="CC0", latents=tuple("abcdefgh"))


@pytest.fixture
def packages(monkeypatch):
    """Return a function by which packages bring kinds of models."""

    def bring(**points):
        found = [EntryPoint(name, value, checkpoint.GROUP) for name, value in points.items()]
        monkeypatch.setattr(checkpoint, "entry_points", lambda group: found if group == checkpoint.GROUP else [])
        checkpoint.package_kinds.cache_clear()

    yield bring
    checkpoint.package_kinds.cache_clear()


@pytest.fixture
def path(packages, tmp_path):
    packages(folded="folded:Folded", voice="folded:Folded")
    torch.manual_seed(0)
    save(tmp_path / "net.safetensors", Folded(FoldedShape()), CARD)
    return tmp_path / "net.safetensors"


def test_a_kind_of_a_package_is_saved_and_loaded_and_hides_none_of_ours(path):
    assert kind_of(path) == "folded"
    model, card = load(path)
    assert isinstance(model, Folded)
    assert (model.shape, card) == (FoldedShape(), CARD)
    assert "voice" not in checkpoint.package_kinds()


def test_the_latent_stage_plays_it_as_the_networks_do(path):
    values = {"model": str(path)}
    knobs = {knob.name: knob.default for knob in keys_of("latent", values, None).knobs}
    assert "z1-a" in knobs
    stage = LatentStage(Format(16_000, 1), knobs | values | {"gate": 0.0, "strength": 0.0})
    sound = noise(64 * 60)[None] if noise(8).ndim == 1 else noise(64 * 60)
    found = play(stage, sound, [1, 100, 64])[0]
    model, _ = load(path)
    with torch.no_grad():
        truth = model.decoder(model.encoder(torch.from_numpy(sound[None]))[0])[0][0, 0].numpy()
    late = stage.delay
    error = np.abs(found[late:] - truth[: len(found) - late])
    assert error[500:].max() < 1e-3 * np.abs(truth).max()


def test_its_parts_are_exported(path, tmp_path):
    parts, card = parts_of(path)
    assert [part.name for part in parts] == ["encoder", "decoder"]
    for part in parts:
        assert write_onnx(tmp_path / f"{part.name}.onnx", part, card).difference <= 1e-5


def test_without_the_package_the_file_is_named(path, packages):
    packages()
    checkpoint._read_header.cache_clear()
    with pytest.raises(CheckpointError, match=r"a model of kind 'folded'; .* or the package that brings this kind"):
        kind_of(path)


@pytest.mark.parametrize(
    ("value", "message"), [("no_such_module:Net", "cannot be loaded"), ("math:pi", "expected a class with a dataclass")]
)
def test_a_package_that_brings_no_model_is_named(path, packages, value, message):
    packages(folded=value)
    with pytest.raises(CheckpointError, match=message):
        load(path)


class Crooked(nn.Module):
    """A decoder of another hop than the encoder's."""

    Shape = FoldedShape

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.encoder, self.decoder = Folded(shape).encoder, Folded(FoldedShape(hop=32)).decoder


def test_networks_that_do_not_fit_each_other_are_named(packages, tmp_path):
    sys.modules["crooked"] = sys.modules[__name__]
    Crooked.__module__ = "crooked"
    packages(crooked="crooked:Crooked")
    save(tmp_path / "net.safetensors", Crooked(FoldedShape()), CARD)
    with pytest.raises(StageError, match=r"Crooked cannot be played: .*expected \(1, 64\)"):
        LatentStage(Format(16_000, 1), {"model": str(tmp_path / "net.safetensors")})
