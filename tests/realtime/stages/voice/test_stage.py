"""The voice stage: in line with its input, the same however it is cut, never broken, and anybody's voice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.anyone import IDENTITY, SHAPE, anyone, card, made, voice  # noqa: F401 - a fixture
from support.stage import play
from support.voice import BAD, sung

from gramophone.models.checkpoint import save
from gramophone.presets.checks import PresetError
from gramophone.presets.preset import Preset
from gramophone.presets.voices import voice_file
from gramophone.realtime.stage import Format, StageError
from gramophone.realtime.stage_registry import keys_of, make_stage
from gramophone.realtime.stages.voice.target import EnrolledTarget, load_target, save_target, target_from_text
from gramophone.realtime.stages.voice.voices import VoiceArrays

RATE = 16_000


def stage(anyone, rate=RATE, channels=1, **values):
    return make_stage("voice", Format(rate, channels), {"model": anyone, **values})


def target():
    return EnrolledTarget("ann.wav", IDENTITY, 20.0, ("20.0 s of speech",), VoiceArrays.of(voice(seed=5)))


@pytest.mark.parametrize("quick", [False, True])
def test_any_blocks_give_what_one_gives(anyone, quick):
    sound = sung(1.5, 150.0)
    whole = play(stage(anyone, quick=quick, range="free"), sound, [sound.shape[1]])
    assert np.abs(whole).max() > 0.01
    for sizes in ([128], [1, 7, 500, 64], [333]):
        np.testing.assert_array_equal(play(stage(anyone, quick=quick, range="free"), sound, sizes), whole)


def test_a_model_without_the_residual_network_plays_by_its_maps_alone(tmp_path):
    plain = replace(SHAPE, residual_width=0)
    save(tmp_path / "plain.safetensors", made(plain), card(plain))
    sound = sung(1.0, 150.0)
    heard = play(stage(str(tmp_path / "plain.safetensors")), sound, [128])
    assert 0.01 < np.abs(heard).max() < 1
    assert np.abs(heard - play(stage(str(tmp_path / "plain.safetensors"), detail=1.0), sound, [128])).max() > 0.01


def test_it_is_late_by_less_than_40_ms_and_quickly_by_less_than_20(anyone):
    assert stage(anyone, 48_000).delay / 48 <= 40
    assert stage(anyone, 48_000, quick=True).delay / 48 <= 20


def test_loudness_follows_without_being_late(anyone):
    sound = np.zeros((1, RATE), np.float32)
    sound[:, 4096:8192] = sung(1.0)[:, 4096:8192]
    one = stage(anyone)
    heard = play(one, np.pad(sound, ((0, 0), (0, one.delay))), [160])[0, one.delay :]
    loud = np.square(heard.reshape(-1, 250)).mean(1) > 1e-5
    assert abs(np.flatnonzero(loud)[0] * 250 - 4096) < 400


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_gives_finite_sound_no_louder_than_itself(anyone, kind):
    sound = np.asarray(BAD[kind], np.float32)
    heard = play(stage(anyone), sound, [128])
    assert np.isfinite(heard).all()
    assert np.sqrt(np.square(heard).mean()) <= 2 * np.sqrt(np.square(sound).mean()) + 1e-4


@pytest.mark.parametrize("kind", ["shouting", "whisper", "of 8 kHz", "two people"])
def test_whatever_is_said_comes_out_as_loud_as_it_went_in(anyone, kind):
    sound = np.asarray({**BAD, "two people": sung(2.0, 110.0) + sung(2.0, 205.0)}[kind], np.float32)
    one = stage(anyone)
    heard = play(one, np.pad(sound, ((0, 0), (0, one.delay))), [128])[:, one.delay :]
    before, after = (10 * np.log10(np.square(part[:, RATE // 2 :]).mean()) for part in (sound, heard))
    assert abs(after - before) < 3


@pytest.mark.parametrize("hz", [0.0, 50.0])
def test_an_offset_and_hum_make_no_voice(anyone, hz):
    sound = 0.1 * np.cos(2 * np.pi * hz * np.arange(5 * RATE) / RATE).astype(np.float32)[None]
    heard = play(stage(anyone), sound, [256])[:, 3 * RATE :]
    assert 10 * np.log10(np.square(heard).mean() + 1e-12) < -50


def test_a_voice_is_kept_by_name_and_in_presets(anyone, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    save_target(voice_file("ann"), target())
    found = Preset("x", ()).find_file("ann")
    assert found == voice_file("ann")
    with pytest.raises(PresetError, match="bob"):
        Preset("x", ()).find_file("bob")
    one = stage(anyone, target=str(found))
    sound = sung(0.5)
    heard = play(one, sound, [128])
    other = stage(anyone, kept=one.snapshot()["kept"])
    np.testing.assert_allclose(play(other, sound, [128]), heard, atol=1e-6)
    assert not np.allclose(play(stage(anyone), sound, [128]), heard, atol=1e-3)


def test_a_voice_of_another_model_is_refused_with_what_to_do(anyone, tmp_path):
    path, model, other = tmp_path / "ann.voice", Path(anyone), tmp_path / "other.safetensors"
    save_target(path, target())
    assert load_target(path, model).clip == "ann.wav"
    save(other, made(), type(card())(RATE, notes={"identity": "other"}))
    with pytest.raises(StageError, match=r"enrol the clip 'ann\.wav' again"):
        load_target(path, other)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(StageError, match="no enrolled voice"):
        load_target(path, model)
    with pytest.raises(StageError, match="remove the line"):
        target_from_text("ann.wav: %%%", model)


def test_another_models_file_is_refused():
    with pytest.raises(StageError, match="expected anyone"):
        keys_of("voice", {"model": "tagger"}, None)


def test_a_preset_may_say_where_its_model_is_to_be_had(anyone):
    found = {"model": anyone, "source": "https://there/any.safetensors"}
    assert keys_of("voice", found, None).settings == found
    with pytest.raises(StageError, match=r"get it: gramophone models add 'https://there/any\.safetensors' --name any"):
        keys_of("voice", found | {"model": "any"}, None)
    with pytest.raises(StageError, match="source is a setting of the stage"):
        stage(anyone).set("source", "")


def test_the_known_voices_are_choices(anyone):
    knobs = {knob.name: knob for knob in keys_of("voice", {"model": anyone}, None).knobs}
    assert knobs["speaker"].choices == ("anna", "bob")
    assert made().known(1).mean.shape == (SHAPE.envelope,)


def test_a_target_is_taken_over_while_it_plays_and_let_go_again(anyone, tmp_path):
    path = tmp_path / "ann.voice"
    save_target(path, target())
    one = stage(anyone)
    before = play(one, sung(0.3), [128])
    one.hold()
    one.set("target", str(path))
    one.take(1)
    one.process(np.zeros((1, 0), np.float32))
    assert one.snapshot()["kept"].startswith("ann.wav: ")
    one.set("target", "")
    one.take(2)
    one.process(np.zeros((1, 0), np.float32))
    assert not one.snapshot()
    assert np.isfinite(before).all()
