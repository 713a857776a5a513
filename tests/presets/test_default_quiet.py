"""What is no voice stays silent before the voice of `default`, and quiet speech passes."""

import numpy as np
import pytest

from gramophone.presets import CLIPS, Preset, load
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read

VOICE, RATE = read(CLIPS / "voice.flac")
T = np.arange(4 * RATE) / RATE
HUM = sum(np.sin(2 * np.pi * 50 * k * T) / k for k in (1, 2, 3, 5))


def level_db(sound):
    return 20 * np.log10(max(float(np.sqrt(np.square(sound[..., RATE:]).mean())), 1e-6))


def at(sound, db):
    return sound / np.sqrt(np.square(sound).mean()) * 10 ** (db / 20)


def change_db(sound):
    """By how many dB what stands before the voice changes a sound."""
    preset = load("default")
    before = preset.stages[: [stage.kind for stage in preset.stages].index("latent")]
    block = np.asarray(sound, np.float32)[None]
    return level_db(Engine(Preset("before", before), RATE, 1).render(block)) - level_db(block)


@pytest.mark.parametrize(
    ("sound", "most"),
    [(T * 0 + 0.003, -40), (T * 0 + 0.03, -50), (at(HUM, -55), -20), (at(HUM, -50), -8)],
    ids=["offset", "large offset", "hum", "loud hum"],
)
def test_offset_and_hum_are_lowered(sound, most):
    assert change_db(sound) < most


@pytest.mark.parametrize("gain_db", [0, -20, -30])
def test_speech_passes(gain_db):
    assert abs(change_db(VOICE[0] * 10 ** (gain_db / 20))) < 1


def test_the_noise_of_a_room_is_lowered():
    noise = np.random.default_rng(0).normal(0, 1, len(T))
    assert change_db(at(noise, -60)) < -15
