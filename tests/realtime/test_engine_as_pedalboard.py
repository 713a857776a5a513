"""An engine takes the place of a pedalboard: called the same way, it gives what the same effects give there."""

import numpy as np
import pedalboard
import pytest

from gramophone.presets import CLIPS, Preset, StageSettings
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read

VOICE, RATE = read(CLIPS / "voice.flac")
SOUND = np.concatenate([VOICE[:1, :60_000], VOICE[:1, 20_000:80_000]])
BOARD = pedalboard.Pedalboard(
    [
        pedalboard.Compressor(threshold_db=-30.0, ratio=4.0, attack_ms=5.0, release_ms=80.0),
        pedalboard.LowpassFilter(cutoff_frequency_hz=3000.0),
    ]
)
STAGES = (
    StageSettings("squash", "compressor", {"threshold": -30.0, "ratio": 4.0, "attack": 5.0, "release": 80.0}),
    StageSettings("low", "lowpass", {"frequency": 3000.0}),
)


@pytest.fixture
def engine():
    made = Engine(Preset("board", STAGES), 48_000)
    yield made
    made.close()


@pytest.mark.parametrize("shape", ["mono", "one channel", "two channels"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [22_050, RATE, 96_000])
def test_called_the_same_way_it_gives_what_the_same_pedalboard_gives(engine, shape, kind, rate):
    sound = {"mono": SOUND[0], "one channel": SOUND[:1], "two channels": SOUND}[shape].astype(kind)
    for _ in range(2):  # each call from silence
        found, truth = engine(sound, rate), BOARD(sound, rate)
        assert found.shape == truth.shape == sound.shape
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-5)


def test_chunks_go_on_from_each_other_unless_they_reset(engine):
    pieces = np.array_split(SOUND, [1000, 1001, 30_000], axis=1)
    found = np.concatenate([engine.process(piece, RATE, reset=False) for piece in pieces], axis=1)
    whole = BOARD(SOUND, RATE)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(engine.process(SOUND, RATE, reset=True), whole, rtol=0, atol=1e-5)
    assert not np.allclose(engine(SOUND, RATE, reset=False), whole, atol=1e-3)


def test_values_stay_when_the_rate_changes(engine):
    engine.set("low.frequency", 500.0)
    engine(SOUND, RATE)
    engine(SOUND, 22_050)
    assert engine.preset.stage("low").values["frequency"] == 500.0


def test_a_late_preset_is_in_line_with_its_input():
    engine = Engine(Preset("late", (StageSettings("style", "style", {"clip": "choir.flac", "strength": 0.0}),)), 48_000)
    found = engine(SOUND[0], RATE)
    assert engine.delay > 900
    np.testing.assert_allclose(found[RATE // 4 :], SOUND[0, RATE // 4 :], rtol=0, atol=1e-4)
    engine.close()


@pytest.mark.parametrize(
    ("sound", "rate"),
    [
        (np.zeros((2, 8), np.int16), RATE),
        (np.zeros((1, 2, 8), np.float32), RATE),
        (np.zeros((1, 8), np.float32), 44_100.5),
    ],
)
def test_what_is_no_sound_is_refused_and_the_engine_goes_on(engine, sound, rate):
    with pytest.raises(ValueError, match="expected"):
        engine(sound, rate)
    engine(SOUND, RATE)
