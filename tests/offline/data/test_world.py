"""WORLD gives a voice back: its pitch, its length, its formants, and the loudness that each frame is told."""

import importlib.util

import numpy as np
import pytest
from scipy.signal import lfilter

from gramophone.offline.data.mono_audio import RATE
from gramophone.offline.data.world import ENVELOPE, HOP, Vocoded, loudness, sounded, vocoded

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("pyworld"), reason="pyworld is not installed")


def vowel(hz=140.0, seconds=1.0, formants=((700, 80), (1200, 90), (2600, 120))):
    """A pulse train through resonances."""
    x = np.zeros(round(seconds * RATE))
    x[:: round(RATE / hz)] = 1.0
    for centre, width in formants:
        radius = np.exp(-np.pi * width / RATE)
        x = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * centre / RATE), radius**2], x)
    return (0.1 * x / x.std()).astype(np.float32)


def test_pitch_is_read_at_the_middle_of_every_hop():
    found = vocoded(vowel())
    assert found.hz.shape == (RATE // HOP,)
    assert found.coded.shape == (RATE // HOP, ENVELOPE + 1)
    middle = found.hz[20:-20]
    np.testing.assert_allclose(middle, RATE / round(RATE / 140), rtol=0.01)
    np.testing.assert_allclose(found.octaves[20:-20], np.log2(middle))
    assert np.isnan(vocoded(np.zeros(RATE, np.float32)).octaves).all()


def test_a_vowel_comes_back_with_its_pitch_and_spectrum():
    x = vowel()
    first = vocoded(x)
    again = sounded(first, loudness(first))
    assert len(again) == len(x)
    second = vocoded(again)
    inner = slice(20, -20)
    np.testing.assert_allclose(second.hz[inner], first.hz[inner], rtol=0.01)
    difference = (second.coded - first.coded)[inner, 1:ENVELOPE].mean(axis=0)
    assert np.abs(difference).mean() < 0.1


def test_frames_are_as_loud_as_they_are_told_to_be():
    first = vocoded(vowel())
    level = loudness(first)
    half = sounded(first, level / 2)
    np.testing.assert_allclose(half, sounded(first, level) / 2, atol=2e-3)
    raised = sounded(Vocoded(first.hz, first.coded + np.r_[1.0, np.zeros(ENVELOPE)]), level)
    np.testing.assert_allclose(raised.std(), sounded(first, level).std(), rtol=0.02)
