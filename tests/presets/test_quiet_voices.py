"""Every preset with a voice model: what is no voice comes out softer than it went in, and a soft voice as loud."""

import numpy as np
import pytest

from gramophone.presets import CLIPS, load, names
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read

pytestmark = pytest.mark.slow

VOICE, RATE = read(CLIPS / "voice.flac", 3.0)
T = np.arange(2 * RATE) / RATE
HUM = sum(np.sin(2 * np.pi * 50 * k * T) / k for k in (1, 2, 3, 5))
WHITE = np.random.default_rng(0).normal(0, 1, len(T))
BREATH = np.convolve(WHITE, np.hanning(48), "same") * np.sin(np.pi * T) ** 2
PRESETS = [name for name in names() if any(stage.kind in ("latent", "voice") for stage in load(name).stages)]


def level_db(sound):
    return 20 * np.log10(float(np.sqrt(np.square(sound[..., RATE:], dtype=np.float64).mean())) + 1e-7)


def at(sound, db):
    return (sound / np.sqrt(np.square(sound).mean()) * 10 ** (db / 20)).astype(np.float32)


def change_db(name, sound):
    """By how many dB a preset changes the level of a sound on both channels, from its second second on."""
    block = np.repeat(np.asarray(sound, np.float32)[None], 2, axis=0)
    engine = Engine(load(name), RATE, 2)
    heard = engine.render(block)
    engine.close()
    return level_db(heard) - level_db(block)


def test_all_voices_are_here():
    assert {"default", "quick", "anyone", "someone-else", "four-of-us"} <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_hum_and_offset_come_out_lower_by_more_than_20_db(name):
    """One that plays a style whatever comes in is at least not louder."""
    most = 0 if name == "someone-else" else -20
    assert change_db(name, at(HUM, -40) + np.float32(0.01)) < most


@pytest.mark.parametrize(
    ("sound", "most"),
    [(0 * T, 0.1), (0 * T + 0.03, -50), (at(HUM, -30), -20), (at(WHITE, -50), -20), (at(BREATH, -40), 0.5)],
    ids=["silence", "large offset", "loud hum", "room", "breath"],
)
def test_what_is_no_voice_is_not_louder_at_the_output(sound, most):
    assert change_db("default", sound) < most


@pytest.mark.parametrize("gain_db", [0, -20, -30])
def test_speech_stays_as_loud(gain_db):
    assert abs(change_db("default", VOICE[0] * 10 ** (gain_db / 20))) < 2
