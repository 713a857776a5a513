"""Enrolment says in words what a clip is good for, and what is wrong with it."""

import numpy as np
import pytest
import torch
from support.pitch import whisper
from support.voice import sung

from gramophone.models.nets.enrolment import Speech
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.stages.voice.clip import described

RATE, HOP = 16_000, 128


def words(sound):
    """What is said of a clip; only its audible frames and pitch count here."""
    sound = np.asarray(sound, np.float32)
    sound = sound[: len(sound) // HOP * HOP]
    octaves, voicing = pitch_contour(sound, RATE, HOP).T
    levels = np.sqrt(np.square(sound.reshape(-1, HOP)).mean(1))
    found = torch.from_numpy(np.where(voicing >= 0.5, octaves, np.nan).astype(np.float32))
    audible = torch.from_numpy(levels > 0.02 * levels.max())
    empty = torch.zeros(len(levels), 1)
    return described(Speech(empty, empty, found, audible), sound, RATE)


def spoken(seconds, hz=150.0):
    """A gliding voice-like tone with pauses and a little breath."""
    pauses = np.repeat(np.resize([1, 1, 1, 0], round(seconds * 4)), RATE // 4)
    return sung(seconds, hz)[0][: len(pauses)] * pauses + 1e-4 * whisper(len(pauses)) * pauses


@pytest.mark.parametrize(("seconds", "expected"), [(2.0, "hardly more"), (8.0, "20 s say more"), (30.0, "enough")])
def test_the_more_speech_the_more_is_promised(seconds, expected):
    found, said = words(spoken(seconds))
    assert 0.5 * seconds < found <= seconds
    assert expected in said[0]


def test_a_whisper_a_noise_two_people_and_a_telephone_are_named():
    chance = np.random.default_rng(0)
    two = np.concatenate([spoken(4.0, 100.0), spoken(4.0, 220.0)])
    cases = {
        "pitch": whisper(4 * RATE),
        "music or noise": spoken(4.0) + 0.02 * chance.standard_normal(4 * RATE),
        "two usual pitches": two,
        "telephone": spoken(4.0, 150.0),  # eleven harmonics of 150 Hz
    }
    for expected, sound in cases.items():
        assert any(expected in one for one in words(sound)[1]), expected
