"""A checkpoint gives back the model and all that was known of it, and says what is wrong with any other file."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gramophone.models.checkpoint import Card, CheckpointError, card_of, kind_of, load, save
from gramophone.models.nets.wavenet import WaveNet, WaveNetShape

SHAPE = WaveNetShape(layers=2, cycle=2, residual=4, skip=4, speakers=2, local=3, hop=4, upsampling=(2,))
CARD = Card(8000, 4, speakers=("anna", "bob"), data=("two voices, CC0",), scores={"bits": 3.5}, notes={"split": "crc"})


@pytest.fixture
def saved(tmp_path):
    model = WaveNet(SHAPE)
    save(tmp_path / "model.safetensors", model, CARD)
    return tmp_path / "model.safetensors", model


def test_what_is_saved_is_loaded(saved):
    path, model = saved
    again, card = load(path, "wavenet")
    assert (again.shape, card, kind_of(path), card_of(path)) == (SHAPE, CARD, "wavenet", CARD)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not again.training
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_the_same_model_is_the_same_bytes(tmp_path, saved):
    path, model = saved
    for _ in range(8):
        save(tmp_path / "again.safetensors", model, CARD)
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_file_that_is_no_checkpoint_is_named_with_the_reason(tmp_path, saved):
    path, _ = saved
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "nothing.safetensors")
    (tmp_path / "text").write_text("not weights")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load(tmp_path / "text")
    (tmp_path / "half").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load(tmp_path / "half")
    save_file({"a": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(CheckpointError, match="not one of Gramophone's"):
        load(tmp_path / "other")
    with pytest.raises(CheckpointError, match="a wavenet model; expected voice"):
        load(path, "voice")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"gramophone": "2"}, "version 2"),
        ({"kind": "oracle"}, "kind 'oracle'"),
        ({"shape": '{"layers": 3}'}, "do not fit"),
        ({"shape": '{"colour": 3}'}, "has no colour"),
        ({"shape": "{"}, "shape that cannot be read"),
        ({"card": "{}"}, "card"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(saved, header, message):
    path, model = saved
    good = {"gramophone": "1", "kind": "wavenet", "shape": "{}", "card": '{"rate": 8000}'}
    save_file(dict(model.state_dict()), path, {**good, **header})
    with pytest.raises(CheckpointError, match=message):
        load(path)


def test_a_model_of_no_kind_cannot_be_saved(tmp_path):
    with pytest.raises(CheckpointError, match="no kind"):
        save(tmp_path / "m", nn.Linear(1, 1), replace(CARD))


def test_a_card_names_each_source_once_and_the_licences_of_all():
    card = Card(16_000).learnt_from("a (ann): GPL-2", "b: MIT").learnt_from("a (bob): GPL-2", "b: MIT", "c: CC0-1.0")
    assert card.data == ("a (ann): GPL-2", "b: MIT", "a (bob): GPL-2", "c: CC0-1.0")
    assert card.licence == "GPL-2, MIT, CC0-1.0"
