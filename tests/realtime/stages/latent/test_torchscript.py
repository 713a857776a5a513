"""TorchScript models in the form of nn~ play in the latent stage; they run once trusted, and say what is wrong."""

import json

import numpy as np
import pytest
import torch
from support.stage import noise, play
from support.torchscript import HOP, LATE, LATENTS, Broken, Convolutional, Filterbank, WithoutEncoder, save

from gramophone.presets import Preset, StageSettings
from gramophone.presets.clips import data_folder
from gramophone.realtime.chain import Chain
from gramophone.realtime.stage import Format, StageError
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.latent import torchscript
from gramophone.realtime.stages.latent.stage import LatentStage
from gramophone.realtime.stages.latent.torchscript_trial import tried

RATE = 48_000


@pytest.fixture(autouse=True)
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def stage(path, rate=RATE, channels=1, **values):
    settings = {"model": str(path), **values}
    knobs = {knob.name: knob.default for knob in keys_of("latent", settings, None).knobs}
    return LatentStage(Format(rate, channels), knobs | settings)


def test_a_file_runs_once_it_is_trusted_and_again_once_it_has_changed(tmp_path):
    path = save(Filterbank(), tmp_path / "bank.ts")
    with pytest.raises(StageError, match=r"gramophone models '.*bank\.ts' --trust"):
        keys_of("latent", {"model": str(path)}, None)
    found = torchscript.trust(path)
    assert (found.rate, found.hop, found.latents, found.delay) == (RATE, HOP, HOP, LATE)
    assert found.attributes == {"gain": 1.0, "mute": False}
    assert torchscript.trusted(path) == found
    save(Filterbank(latents=LATENTS), path)
    with pytest.raises(StageError, match="has not been trusted yet"):
        torchscript.trusted(path)


def test_the_sound_is_the_models_own_exactly_as_late_as_stated(tmp_path):
    path = save(Convolutional(), tmp_path / "net.ts")
    torchscript.trust(path)
    sound = noise(60 * HOP)
    expected = direct(path, sound[0])
    for sizes in ([1, 100, 37], [HOP], [4_000]):
        playing = stage(path, rate=44_100)
        found = play(playing, sound, sizes)[0]
        whole = playing.delay - playing_delay(path)
        np.testing.assert_allclose(found[whole:], expected[: len(found) - whole], atol=1e-6)


def playing_delay(path):
    """Samples by which the model itself is late, which the stage takes off."""
    return torchscript.trusted(path).delay


@torch.inference_mode()
def direct(path, sound):
    model = torch.jit.load(str(path))
    hops = np.split(sound, len(sound) // HOP)
    return np.concatenate([model.decode(model.encode(torch.from_numpy(hop)[None, None]))[0].mean(0) for hop in hops])


def test_what_gives_the_sound_back_gives_it_back_in_line(tmp_path):
    path = save(Filterbank(), tmp_path / "bank.ts")
    torchscript.trust(path)
    sound = noise(4_000)
    playing = stage(path)
    found = play(playing, sound, [100, 300])[0]
    np.testing.assert_allclose(found[playing.delay :], sound[0, : -playing.delay], atol=1e-5)


def test_its_own_settings_are_knobs(tmp_path):
    path = save(Filterbank(), tmp_path / "bank.ts")
    torchscript.trust(path)
    sound = noise(4_000)
    playing = stage(path)
    playing.set("own-gain", 2.0)
    loud = playing.process(sound)
    np.testing.assert_allclose(loud, 2 * stage(path).process(sound), atol=1e-5)
    silent = stage(path, **{"own-mute": True}).process(sound)
    assert not silent.any()


def test_its_latents_are_moved_to_a_clips(tmp_path):
    path = save(Filterbank(latents=LATENTS), tmp_path / "bank.ts")
    torchscript.trust(path)
    sound = noise(3_000)
    plain, off = stage(path).process(sound), stage(path, **{"z1": 2.0}).process(sound)
    assert np.abs(off - plain).max() > 0.01
    assert not stage(path, **{f"z{n}-scale": 0.0 for n in range(1, LATENTS + 1)}).process(sound).any()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("ratios", "decodes 8 at 1/128 to 1/1; expected the same"),
        ("lies", r"encode returned .*; by its own ratios it should be"),
        ("throws", "out of latents"),
        ("nan", "encode returned numbers that are not finite"),
    ],
)
def test_a_file_that_does_not_do_what_it_says_is_refused(tmp_path, wrong, said):
    path = save(Broken(wrong), tmp_path / "broken.ts")
    with pytest.raises(ValueError, match=said):
        tried(str(path))


def test_a_file_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(torchscript, "_TRIAL_S", 8.0)
    path = save(Broken("hangs"), tmp_path / "broken.ts")
    with pytest.raises(StageError, match="no answer within 8 s"):
        torchscript.trust(path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_what_is_no_torchscript_is_named(tmp_path, content):
    path = tmp_path / "odd.ts"
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"odd\.ts: not a TorchScript file"):
        torchscript.trust(path)


def test_what_only_generates_is_named(tmp_path):
    path = save(WithoutEncoder(), tmp_path / "forward.ts")
    with pytest.raises(ValueError, match="has no method 'encode'"):
        tried(str(path))


def test_a_record_that_is_damaged_means_to_trust_again(tmp_path):
    path = save(Filterbank(), tmp_path / "bank.ts")
    torchscript.trust(path)
    (record,) = (data_folder() / "trusted").iterdir()
    record.write_text(json.dumps({"rate": 3}))
    with pytest.raises(StageError, match="has not been trusted yet"):
        torchscript.trusted(path)


def test_one_that_fails_while_it_plays_is_made_again_and_counted(tmp_path):
    path = save(Broken("late"), tmp_path / "late.ts")
    torchscript.trust(path)
    preset = Preset("own", (StageSettings("other", "latent", {"model": str(path)}),))
    chain = Chain(preset, Format(RATE, 1))
    sound = noise(600 * HOP)
    output = np.concatenate([chain.process(block) for block in np.array_split(sound, 100, 1)], 1)
    assert np.isfinite(output).all()
    assert chain.failures == {"other": 1}
