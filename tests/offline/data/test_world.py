"""WORLD finds pitch, formants and loudness of a vowel, and the decoder of envelopes gives it back."""

import importlib.util

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from gramophone.models.layers.mel import hz_to_mel
from gramophone.offline.convert import spoken
from gramophone.offline.data.mono_audio import RATE
from gramophone.offline.data.world import HOP, POINTS, loudness, vocoded

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
    assert found.coded.shape == (RATE // HOP, POINTS + 1)
    middle = found.hz[20:-20]
    np.testing.assert_allclose(middle, RATE / round(RATE / 140), rtol=0.01)
    np.testing.assert_allclose(found.octaves[20:-20], np.log2(middle))
    assert np.isnan(vocoded(np.zeros(RATE, np.float32)).octaves).all()


def test_the_envelope_peaks_at_the_formants():
    found = vocoded(vowel()).coded[20:-20, :POINTS].mean(axis=0)
    place = hz_to_mel(torch.tensor([700.0, 1200.0, 2600.0])) / hz_to_mel(torch.tensor(RATE / 2)) * (POINTS - 1)
    peaks = np.flatnonzero((found[1:-1] > found[:-2]) & (found[1:-1] > found[2:])) + 1
    for formant in place.numpy():
        assert np.abs(peaks - formant).min() < 1.5


def test_loudness_follows_the_sound():
    x = vowel()
    quiet = loudness(vocoded(x / 2))[20:-20]
    np.testing.assert_allclose(quiet, loudness(vocoded(x))[20:-20] / 2, rtol=0.01)


def test_a_vowel_comes_back_with_its_pitch_and_spectrum():
    x = vowel()
    first = vocoded(x)
    again = spoken(torch.from_numpy(first.coded).float(), torch.from_numpy(first.octaves).float(), loudness(first))
    assert len(again) == len(x)
    second = vocoded(again)
    inner = slice(20, -20)
    np.testing.assert_allclose(second.hz[inner], first.hz[inner], rtol=0.01)
    difference = (second.coded - first.coded)[inner, :40].mean(axis=0)  # up to 5 kHz: above, the vowel is too faint
    assert np.abs(difference - difference.mean()).mean() < 0.5
