"""Speakers are identified by the direction of their mean embedding, whatever its length."""

import numpy as np
import pytest

from gramophone.offline.judges import speaker
from gramophone.offline.judges.speaker import ReferenceSpeakers

pytestmark = pytest.mark.slow


@pytest.fixture
def voices(monkeypatch):
    """Voices of which sounds are the vectors themselves, made unit length as the encoder's are."""
    monkeypatch.setattr(
        speaker, "speaker_embedding", lambda sound, rate: np.asarray(sound / np.linalg.norm(sound), np.float32)
    )


def around(direction, spread, count=40):
    chance = np.random.default_rng(7)
    return list(direction + spread * chance.standard_normal((count, len(direction))))


@pytest.mark.usefixtures("voices")
def test_a_speaker_whose_recordings_differ_is_not_further_away():
    steady, varied = np.eye(8)[0], np.eye(8)[1]
    known = ReferenceSpeakers({"steady": around(steady, 0.01), "varied": around(varied, 0.4, 1000)}, 16_000)
    middle = 0.9 * varied + 0.75 * steady
    assert known.nearest(middle) == "varied"


@pytest.mark.usefixtures("voices")
def test_own_is_a_recordings_mean_cosine_to_the_others():
    recordings = around(np.eye(4)[0], 0.3, 5)
    known = ReferenceSpeakers({"one": recordings, "single": recordings[:1]}, 16_000)
    unit = [r / np.linalg.norm(r) for r in recordings]
    expected = []
    for index, one in enumerate(unit):
        others = np.mean(unit[:index] + unit[index + 1 :], axis=0)
        expected.append(one @ others / np.linalg.norm(others))
    assert known.own["one"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert np.isnan(known.own["single"])


@pytest.mark.usefixtures("voices")
def test_a_recording_is_recognised_if_it_is_nearer_to_its_speakers_others():
    here, there = np.eye(4)[0], np.eye(4)[1]
    known = ReferenceSpeakers({"one": [here, here, there], "other": [there, there]}, 16_000)
    assert known.recognised("one", "other") == pytest.approx(2 / 3)  # the third could be the other's
    assert known.recognised("other", "one") == 1.0
