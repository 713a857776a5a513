"""The names that are learnt for a TorchScript model's latents are those of what they follow and what they do."""

import json

import nn_tilde
import numpy as np
import pytest
import soundfile
import torch
from support.torchscript import save
from typer.testing import CliRunner

from gramophone.models.parameters import Parameter
from gramophone.offline.cli.main import app
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.latent import torchscript

RATE, HOP = 16_000, 256


class Level(nn_tilde.Module):
    """Latent 1 is the level upside down, a hop late, and makes it; latent 2 is chance and does nothing."""

    def __init__(self):
        super().__init__()
        self.hop = HOP
        self.register_buffer("sampling_rate", torch.tensor(RATE))
        self.register_buffer("last", torch.zeros(1, 1, 1))
        self.register_method("encode", 1, 1, 2, HOP, test_method=False)
        self.register_method("decode", 2, HOP, 1, 1, test_method=False)

    @torch.jit.export
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        level = -(x.reshape(1, 1, -1, self.hop).square().mean(3) + 1e-8).log()
        late = torch.cat([self.last, level], 2)
        self.last = late[:, :, late.shape[2] - 1 :]
        return torch.cat([late[:, :, : level.shape[2]], torch.randn_like(level)], 1)

    @torch.jit.export
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        gain = (-z[:, :1] / 2).exp().repeat_interleave(self.hop, 2)
        return gain * torch.randn_like(gain)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = save(Level(), tmp_path / "level.ts")
    torchscript.trust(path)
    return path


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        level = np.repeat(rng.uniform(0.01, 0.5, 12), RATE // 4)
        soundfile.write(folder / f"{name}.wav", level * rng.uniform(-1, 1, len(level)), RATE)
    return folder


def test_a_latent_is_named_by_what_it_follows_and_its_effect_by_what_it_does(model, sounds):
    done = CliRunner().invoke(app, ["models", "learn-names", str(model), "--on", str(sounds), "--json"])
    assert done.exit_code == 0, done.output
    level, chance = json.loads(done.stdout)["latents"]
    assert (level["name"], chance["name"]) == ("z1 loudness -", "z2")
    assert level["r2"] > 0.8 > 0.1 > chance["r2"]
    assert level["effect"] == pytest.approx(-10 / np.log(10) * level["spread"], rel=0.2)  # nats of power to dB
    assert torchscript.trusted(model).names == ("z1 loudness -", "z2")


def test_names_describe_the_knobs_and_leave_their_own_names_as_they_are(model, sounds):
    def knobs() -> dict[str, Parameter]:
        return {knob.name: knob for knob in keys_of("latent", {"model": str(model)}, None).knobs}

    before = knobs()
    CliRunner().invoke(app, ["models", "learn-names", str(model), "--on", str(sounds)])
    assert knobs().keys() == before.keys()
    assert "loudness" in knobs()["z1"].description
    shown = json.loads(CliRunner().invoke(app, ["models", str(model), "--json"]).stdout)
    assert shown["notes"]["named"] == ["z1 loudness -", "z2"]


def test_a_folder_without_sound_or_with_too_little_is_named(model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "short").mkdir()
    soundfile.write(tmp_path / "short" / "a.wav", np.full(HOP * 3, 0.1), RATE)
    for folder, message in (("empty", "no sound file there"), ("short", "3 frames of sound; expected 40 at least")):
        done = CliRunner().invoke(app, ["models", "learn-names", str(model), "--on", str(tmp_path / folder)])
        assert message in str(done.exception)
