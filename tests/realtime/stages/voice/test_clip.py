"""Enrolment says in words what a clip is good for, and what is wrong with it."""

import numpy as np
import pytest
import torch
from support.anyone import made
from support.pitch import whisper
from support.voice import sung

from gramophone.models.nets.enrolment import Speech, map_inputs
from gramophone.models.units import POINTS
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.stages.voice.clip import described, refused

RATE, HOP = 16_000, 128
MODEL = made()


def speech_of(sound, *, apart=0.0, explained=True):
    """What is measured in a clip, with pitch and level as they are.

    Envelopes follow a content that is made up, or nothing; the second half's are `apart` from the first half's.
    """
    octaves, voicing = pitch_contour(sound, RATE, HOP).T
    levels = np.sqrt(np.square(sound.reshape(-1, HOP)).mean(1))
    pitch = torch.from_numpy(np.where(voicing >= 0.5, octaves, np.nan).astype(np.float32))
    chance = torch.Generator().manual_seed(0)
    count = len(levels)
    content = torch.randn(count, MODEL.shape.content, generator=chance)
    envelopes = torch.randn(count, MODEL.shape.envelope, generator=chance)
    if explained:
        inputs = map_inputs(content, (~pitch.isnan()).float(), MODEL.shape.context)
        envelopes = inputs @ MODEL.universal + 0.2 * envelopes
    envelopes[count // 2 :, :POINTS] += apart * torch.tensor([1.0, -1.0]).repeat(POINTS // 2)
    return Speech(content, envelopes, pitch, torch.from_numpy(levels > 0.02 * max(levels.max(), 1e-6)))


def whole(sound):
    sound = np.asarray(sound, np.float32)
    return sound[: len(sound) // HOP * HOP]


def words(sound, **how):
    """What is said of a clip."""
    sound = whole(sound)
    return described(MODEL, speech_of(sound, **how), sound)


def spoken(seconds, hz=150.0):
    """A gliding voice-like tone with pauses and a little breath."""
    pauses = np.repeat(np.resize([1, 1, 1, 0], round(seconds * 4)), RATE // 4)
    return sung(seconds, hz)[0][: len(pauses)] * pauses + 1e-4 * whisper(len(pauses)) * pauses


@pytest.mark.parametrize(("seconds", "expected"), [(2.0, "hardly more"), (8.0, "20 s say more"), (30.0, "enough")])
def test_the_more_speech_the_more_is_promised(seconds, expected):
    found, said = words(spoken(seconds))
    assert 0.5 * seconds < found <= seconds
    assert expected in said[0]
    assert "of speech" in said[0]


def test_a_whisper_a_noise_a_tune_and_a_telephone_are_named():
    chance = np.random.default_rng(0)
    cases = {
        "a whisper or noise": np.concatenate([spoken(1.0), whisper(6 * RATE)]),
        "music or noise": spoken(4.0) + 0.02 * chance.standard_normal(4 * RATE),
        "two octaves": np.concatenate([spoken(2.0, 90.0), spoken(2.0, 450.0)]),
        "telephone": spoken(4.0, 150.0),  # eleven harmonics of 150 Hz
    }
    for expected, sound in cases.items():
        assert any(expected in one for one in words(sound)[1]), expected


def test_two_people_differ_in_what_content_does_not_say():
    assert any("two people" in one for one in words(spoken(10.0), apart=1.0)[1])
    assert not any("two people" in one for one in words(spoken(10.0))[1])
    glide = np.concatenate([spoken(5.0, 110.0), spoken(5.0, 190.0)])  # one person may use two pitches
    assert not any("two people" in one for one in words(glide)[1])


def test_an_instrument_is_no_speech():
    _, said = words(spoken(10.0), explained=False)
    assert "of sound" in said[0]
    assert "music or an instrument" in said[1]
    assert not any("two people" in one for one in said)


def test_what_cannot_be_learnt_is_refused_with_why():
    cases = {
        "silence": np.zeros(RATE),
        "has a pitch": whisper(2 * RATE),
        "too short": spoken(0.5),
    }
    for expected, sound in cases.items():
        assert expected in refused(speech_of(whole(sound)), whole(sound)), expected
