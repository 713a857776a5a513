"""`gramophone generate`, as its users call it: the same from a seed, and told in words what does not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.wavenet import SHAPE, SPEAKERS, checkpoint
from typer.testing import CliRunner

from gramophone.models.checkpoint import Card
from gramophone.offline.cli.main import app
from gramophone.offline.commands.generate import GenerateError, speaker_weights
from gramophone.presets import CLIPS, models
from gramophone.realtime.files import read
from gramophone.realtime.stages.wavenet.sampler import Sampler

pytestmark = pytest.mark.slow


def gramophone(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_file_is_what_the_sampler_says_and_the_same_again(tmp_path):
    net = checkpoint(tmp_path / "net.safetensors")
    options = ["--model", tmp_path / "net.safetensors", "--speaker", "bob", "--seconds", 1.5, "--seed", 4]
    first = gramophone("generate", *options, "--out", tmp_path / "a.wav", "--json")
    assert json.loads(first.stdout) == {"file": str(tmp_path / "a.wav"), "seconds": 1.5, "rate": 8000, "seed": 4}
    gramophone("generate", *options, "--out", tmp_path / "b.wav")
    sound, rate = read(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_array_equal(sound, read(tmp_path / "b.wav")[0])
    bob = net.conditions.table[1].numpy()[None, :, None]
    np.testing.assert_array_equal(sound, Sampler(net, seed=4).generate(12_000, bob))


def test_a_blend_says_how_much_of_whom():
    card = Card(8000, speakers=SPEAKERS)
    np.testing.assert_allclose(speaker_weights("anna:0.6,bob:0.2", card), [0.75, 0.25, 0])
    np.testing.assert_allclose(speaker_weights("eve:2", card), [0, 0, 1])
    np.testing.assert_allclose(speaker_weights("", card), [1, 0, 0])
    with pytest.raises(GenerateError, match="no speaker 'zoe'; the model has anna, bob"):
        speaker_weights("zoe", card)
    for wrong in ("anna:", "anna:x", "anna:-1", "anna:nan", "anna:inf"):
        with pytest.raises(GenerateError, match="a number above 0"):
            speaker_weights(wrong, card)


@pytest.mark.parametrize("kind", ["mel", "mel+pitch"])
def test_a_vocoder_follows_a_file_and_needs_one(tmp_path, kind):
    local = 12 if kind == "mel" else 14
    shape = replace(SHAPE, local=local, hop=80, upsampling=(4,))
    checkpoint(tmp_path / "vocoder.safetensors", shape, notes={"local": kind})
    options = ["generate", "--model", tmp_path / "vocoder.safetensors", "--out", tmp_path / "a.wav"]
    done = gramophone(*options, "--like", CLIPS / "voice.flac", "--seconds", 0.75)
    assert done.exit_code == 0, done.output
    assert read(tmp_path / "a.wav")[0].shape == (1, 6000)
    with pytest.raises(GenerateError, match="expected --like FILE"):
        gramophone(*options, "--seconds", 1, "--overwrite")


def test_what_does_not_fit_is_said(tmp_path):
    checkpoint(tmp_path / "net.safetensors")
    checkpoint(tmp_path / "alone.safetensors", replace(SHAPE, speakers=0), speakers=())
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    out = ["--out", tmp_path / "a.wav", "--seconds", 1]
    for model, more, message in [
        ("net.safetensors", ["--speaker", "zoe"], "the model has anna, bob"),
        ("net.safetensors", ["--like", CLIPS / "voice.flac"], "no local conditions"),
        ("net.safetensors", ["--seconds", 0], "above 0"),
        ("alone.safetensors", ["--speaker", "bob"], "trained without speakers"),
        ("broken.safetensors", [], "not a safetensors file"),
        ("gone.safetensors", [], "no such model file"),
    ]:
        with pytest.raises(ValueError, match=message):
            gramophone("generate", "--model", tmp_path / model, *out, *more)
    assert not (tmp_path / "a.wav").exists()
    assert gramophone("generate", "--model", "x", "--out", tmp_path / "a.txt", "--seconds", 1).exit_code == 2


def test_models_are_listed_and_called_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "MODELS", tmp_path)
    checkpoint(tmp_path / "garble.safetensors", licence="CC0", data=("somebody (CC0)",))
    (listed,) = json.loads(gramophone("models", "--json").stdout)
    assert (listed["name"], listed["kind"], listed["rate"]) == ("garble", "wavenet", 8000)
    assert "garble" in gramophone("models").stdout
    done = gramophone("generate", "--model", "garble", "--seconds", 0.1, "--out", tmp_path / "a.wav")
    assert done.exit_code == 0, done.output
    with pytest.raises(ValueError, match=r"no model 'grable'; expected .* garble"):
        gramophone("generate", "--model", "grable", "--seconds", 0.1, "--out", tmp_path / "b.wav")
