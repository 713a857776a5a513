"""Pitch moves as widely as the target's about its mean, and level follows what is said, within limits."""

import numpy as np
import pytest

from gramophone.realtime.stages.voice.prosody import Dynamics, Intonation

FRAME_S = 0.008
MAP = np.array([0.8, 0.0], np.float32)


def moved(octaves, spread, share=1.0, voiced=None):
    intonation = Intonation(FRAME_S)
    voiced = np.ones(len(octaves), bool) if voiced is None else voiced
    return np.array([intonation.move(o, v, spread, share, 8.0) for o, v in zip(octaves, voiced, strict=True)])


def speech(spread, seconds=20.0):
    return 0.4 + spread * np.sqrt(2) * np.sin(np.arange(round(seconds / FRAME_S)) * FRAME_S * 9.0)


@pytest.mark.parametrize(("own", "target"), [(0.1, 0.15), (0.3, 0.2), (0.2, 0.2)])
def test_the_spread_becomes_the_targets_and_the_mean_stays(own, target):
    late = moved(speech(own), target)[-1000:]
    assert late.std() == pytest.approx(target, rel=0.15)
    assert late.mean() == pytest.approx(0.4, abs=0.03)


def test_without_a_share_or_before_anything_is_voiced_pitch_is_as_it_was():
    octaves = speech(0.2, 2.0)
    np.testing.assert_allclose(moved(octaves, 0.4, share=0.0), octaves)
    np.testing.assert_array_equal(moved(octaves, 0.4, voiced=np.zeros(len(octaves), bool)), octaves)


def test_octave_errors_and_monotones_do_not_widen_it_without_limit():
    octaves = np.zeros(2000)
    assert np.abs(moved(octaves, 0.5)).max() == 0
    octaves[::50] = 1.0
    assert np.abs(moved(octaves, 0.3)).max() <= 2.1


def gains(levels, said):
    dynamics = Dynamics(MAP)
    pairs = zip(levels, said, strict=True)
    return np.array([dynamics.gain(level, np.array([one, 1.0], np.float32), True) for level, one in pairs])


def test_half_of_the_level_is_that_of_what_is_said():
    said = np.sin(np.arange(6000) * 0.1)
    assert np.abs(gains(0.8 * said - 2.0, said)[-3000:]).max() < 0.02
    assert gains(np.full(6000, -2.0), said)[-3000:] == pytest.approx(0.4 * said[-3000:], abs=0.02)


def test_it_is_limited_and_silence_is_left_alone():
    assert np.abs(gains(np.zeros(500), np.full(500, 9.0))).max() == 1.0
    assert Dynamics(MAP).gain(-9.0, np.ones(2, np.float32), False) == 0.0
