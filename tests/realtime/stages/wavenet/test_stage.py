"""The WaveNet stage: independent of block sizes, changed live, gated by its input."""

import numpy as np
import pytest
import torch
from support.stage import noise, play
from support.wavenet import SHAPE, checkpoint

from gramophone.presets import Preset, PresetError, StageSettings
from gramophone.presets.preset import parse
from gramophone.realtime.dsp.resampler import Resampler
from gramophone.realtime.engine import Engine
from gramophone.realtime.parameter_table import complete, table
from gramophone.realtime.stage import Format, StageError
from gramophone.realtime.stages.wavenet.stage import EnvelopeFollower, WaveNetStage

RATE = 48_000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "net.safetensors"
    checkpoint(path)
    return str(path)


def stage(model, rate=RATE, channels=1, **values):
    return WaveNetStage(Format(rate, channels), {"model": model, **values})


TURNS = [
    (1000, "blend", 1.0),
    (1777, "temperature", 0.5),
    (2500, "gate", 1.0),
    (3000, "speaker", "bob"),
    (3100, "level", -12.0),
    (4000, "seed", 7.0),
    (5000, "nucleus", 0.6),
    (5001, "threshold", -20.0),
]


@pytest.mark.parametrize("rate", [RATE, 44_100, 8_000, 6_000])
def test_any_block_sizes_give_the_same_sound_while_every_parameter_changes(model, rate):
    sound = noise(7000, 2)
    whole = play(stage(model, rate, 2), sound, [7000], TURNS)
    assert whole.shape == sound.shape
    assert whole.dtype == np.float32
    assert np.abs(whole).max() > 0.01
    np.testing.assert_array_equal(whole[0], whole[1])
    for sizes in ([256], [1, 31, 64, 333, 2, 900]):
        np.testing.assert_array_equal(play(stage(model, rate, 2), sound, sizes, TURNS), whole)
    untouched = play(stage(model, rate, 2), sound, [256])
    np.testing.assert_array_equal(untouched[:, :900], whole[:, :900])
    assert not np.array_equal(untouched[:, 1100:], whole[:, 1100:])


def test_the_input_opens_the_gate_and_silence_closes_it(model):
    sound = np.zeros((1, 3 * RATE // 2), np.float32)
    sound[:, RATE // 2 : RATE] = 0.5
    gated = play(stage(model, gate=1.0, attack=1.0, release=10.0, threshold=-20.0), sound, [256])[0]
    free = play(stage(model), sound, [256])[0]
    assert not gated[: RATE // 2].any()
    settled = slice(RATE // 2 + RATE // 20, RATE)
    np.testing.assert_allclose(gated[settled], free[settled], atol=1e-6)
    assert np.abs(gated[RATE + RATE // 4 :]).max() < 1e-4


def test_below_the_threshold_the_gate_falls_two_decibels_for_each():
    follower = EnvelopeFollower(RATE)
    quiet = np.full(RATE, 10 ** (-40 / 20), np.float32)
    assert follower.gains(quiet, -30.0, 1.0, 10.0)[-1] == pytest.approx(10 ** (-20 / 20), rel=1e-3)
    assert follower.gains(quiet * 10, -30.0, 1.0, 10.0)[-1] == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(("rate", "to"), [(16_000, 48_000), (8_000, 48_000), (16_000, 44_100), (16_000, 8_000)])
def test_a_resampled_tone_is_aligned_and_complete(rate, to):
    resampler = Resampler(rate, to)
    hz = 0.35 * min(rate, to)
    tone = np.sin(2 * np.pi * hz * np.arange(rate) / rate).astype(np.float32)
    made, taken = [], 0
    for frames in [1, 500, 0, 3, 2048, 64, 3000]:
        wanted = resampler.required_inputs(frames)
        made.append(resampler.process(tone[taken : taken + wanted], frames))
        taken += wanted
    found = np.concatenate(made)
    expected = np.sin(2 * np.pi * hz * np.arange(len(found)) / to)
    start = 60 * max(1, to // rate)  # the tone begins with a step
    assert np.abs(found - expected)[start:].max() < 2e-3


def test_frequencies_above_half_of_the_lower_rate_are_removed():
    resampler = Resampler(16_000, 8_000)
    tone = np.sin(2 * np.pi * 5_500 * np.arange(16_000) / 16_000).astype(np.float32)
    assert np.abs(resampler.process(tone[: resampler.required_inputs(4000)], 4000))[200:].max() < 2e-3


def test_its_knobs_are_those_of_the_model(model, tmp_path):
    preset = Preset("p", (StageSettings("voice", "wavenet", {"model": model, "speaker": "bob"}),))
    knobs = table(preset)
    assert knobs["voice.speaker"].choices == ("anna", "bob", "eve:2")
    checkpoint(tmp_path / "alone.safetensors", SHAPE.__class__(layers=2, cycle=2, residual=8, skip=8), speakers=())
    beside = parse('[[stages]]\nkind = "wavenet"\nmodel = "alone.safetensors"\n', tmp_path / "p.toml")
    assert "wavenet.speaker" not in table(beside)
    assert complete(beside).stages[0].values["model"] == str(tmp_path / "alone.safetensors")
    with pytest.raises(PresetError, match="expected one of anna, bob"):
        complete(preset.with_values({("voice", "speaker"): "zoe"}))
    with pytest.raises(StageError, match="changes with the preset"):
        stage(model).set("model", "other")


def test_models_that_cannot_be_played_are_named(model, tmp_path):
    vocoder = tmp_path / "vocoder.safetensors"
    checkpoint(vocoder, SHAPE.__class__(layers=2, cycle=2, residual=8, skip=8, local=4, hop=8), speakers=())
    with pytest.raises(StageError, match="other conditions than the speaker"):
        stage(str(vocoder))
    for wrong, message in [
        ("", "key 'model' is missing"),
        ("nobody", "no model 'nobody'"),
        ("x.safetensors", "no such"),
    ]:
        with pytest.raises(StageError, match=message):
            WaveNetStage.keys({"model": wrong}, tmp_path)


def test_in_a_chain_the_dry_path_has_no_delay(model):
    preset = Preset("p", (StageSettings("voice", "wavenet", {"model": model, "mix": 0.0}),))
    engine = Engine(preset, RATE, 1)
    sound = noise(4096)
    np.testing.assert_array_equal(engine.process(sound), sound)
    engine.close()
    assert stage(model).delay == 0
    assert torch.is_inference_mode_enabled() is False
