"""Pictures: a tone is where it belongs and as bright as it is loud, and levels are those of the newest sound."""

import numpy as np
import pytest

from gramophone.realtime.dsp.meters import Level
from gramophone.realtime.live.pictures import (
    BANDS,
    FLOOR_DB,
    HIGHEST_HZ,
    LOWEST_HZ,
    PEAK_S,
    RMS_S,
    WINDOW,
    LevelTap,
    SpectrumTap,
    band_levels,
)
from gramophone.realtime.live.shared_state import BlockRing
from gramophone.realtime.live.status import Status


def tone(hz, rate, samples=WINDOW, db=0.0):
    return (10 ** (db / 20) * np.sin(2 * np.pi * hz / rate * np.arange(samples))).astype(np.float32)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("hz", [200.0, 1000.0, 5000.0, 12_000.0])
@pytest.mark.parametrize("db", [0.0, -30.0, -60.0])
def test_a_tone_is_in_its_band_at_its_level(hz, rate, db):
    levels = band_levels(tone(hz, rate, db=db), rate)
    expected = BANDS * np.log(hz / LOWEST_HZ) / np.log(HIGHEST_HZ / LOWEST_HZ)
    width_bands = BANDS * (rate / WINDOW / hz) / np.log(HIGHEST_HZ / LOWEST_HZ)
    assert abs(int(levels.argmax()) + 0.5 - expected) <= 1.0 + width_bands
    loudest_db = FLOOR_DB * (1 - levels.max() / 255)
    assert db - 1.8 <= loudest_db <= db + 0.3  # a tone between two bins of a Hann window is up to 1.4 dB lower


def test_silence_is_dark_and_a_low_rate_has_nothing_above_its_half():
    assert band_levels(np.zeros(WINDOW, np.float32), 48_000).max() == 0
    noise = np.random.default_rng(1).standard_normal(WINDOW).astype(np.float32)
    assert band_levels(noise, 48_000).min() > 0
    assert len(band_levels(noise, 8_000)) == BANDS


@pytest.mark.parametrize("frames", [64, 256, 1000, 4096])
def test_the_tap_takes_the_newest_sound_whatever_the_block(frames):
    sound = np.random.default_rng(2).standard_normal((2, 20 * 1024)).astype(np.float32)
    ring, status = BlockRing(2, 128, 4096), Status()
    tap = SpectrumTap(ring, status)
    assert tap.levels() == b""
    status["rate"] = 48_000
    assert tap.levels() == b""
    for number in range(sound.shape[1] // frames):
        ring.write(number, sound[:, number * frames : (number + 1) * frames])
        end = (number + 1) * frames
        if end >= WINDOW:
            latest = sound[:, end - WINDOW : end].mean(axis=0)
            assert tap.levels() == band_levels(latest, 48_000).tobytes()
    ring.close()
    status.close()


@pytest.mark.parametrize("frames", [64, 256, 1000, 4096])
@pytest.mark.parametrize("every", [1, 7])
def test_peak_and_mean_are_those_of_the_newest_sound(frames, every):
    ring, status = BlockRing(2, 128, 4096), Status()
    tap = LevelTap(ring, status)
    assert tap.level() == Level()
    status["rate"] = 48_000
    sound = np.random.default_rng(1).normal(0, 0.05, (2, 60 * 1024)).astype(np.float32)
    sound[:, 20_000] = 0.9
    for number in range(sound.shape[1] // frames):
        ring.write(number, sound[:, number * frames : (number + 1) * frames])
        if number % every:
            continue
        level, end = tap.level(), (number + 1) * frames
        peak, mean = (
            sound[:, max(end - frames * int(np.ceil(seconds * 48_000 / frames)), 0) : end]
            for seconds in (PEAK_S, RMS_S)
        )
        assert level.peak_db == pytest.approx(20 * np.log10(np.abs(peak).max()), abs=1e-3)
        assert level.rms_db == pytest.approx(10 * np.log10((mean.astype(float) ** 2).mean()), abs=1e-3)
    status["rate"] = 0
    assert tap.level() == Level()
    ring.close()
    status.close()


def test_who_has_not_looked_for_long_sees_what_is_left():
    ring, status = BlockRing(1, 16, 64), Status()
    status["rate"] = 48_000
    tap = LevelTap(ring, status)
    for number in range(1000):
        ring.write(number, np.full((1, 64), 0.5, np.float32))
    assert tap.level().peak_db == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    ring.close()
    status.close()
