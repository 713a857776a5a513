"""One source leads the tempo at a time, whatever its kind."""

import pytest

from gramophone.realtime.control.midi.tempo import Tempo
from gramophone.realtime.midi.decoder import Beat


def ticks(tempo, port, bpm, start, seconds):
    step = 60 / bpm / 24
    for k in range(round(seconds / step)):
        tempo.receive(Beat("clock"), port, start + k * step)


def test_a_source_leads_until_it_has_been_silent_for_two_seconds():
    tempo = Tempo()
    assert tempo.follow("Ableton Link", 123.0, True, 10.0)
    assert (tempo.bpm, tempo.runs, tempo.source) == (123.0, True, "Ableton Link")
    ticks(tempo, "keys", 90.0, 10.1, 1.5)
    assert tempo.bpm == 123.0
    ticks(tempo, "keys", 90.0, 12.1, 3.0)
    assert tempo.source == "keys"
    assert tempo.bpm == pytest.approx(90.0, abs=0.2)
    assert not tempo.follow("Ableton Link", 123.0, True, 15.2)
    assert tempo.follow("Ableton Link", 124.0, False, 17.2)
    assert (tempo.bpm, tempo.runs) == (124.0, False)


def test_a_tempo_that_comes_again_is_no_change_and_an_absurd_one_is_left_out():
    tempo = Tempo()
    assert tempo.follow("JACK transport", 100.0, False, 0.0)
    assert not tempo.follow("JACK transport", 100.001, True, 0.1)
    assert tempo.runs
    for absurd in (0.0, -5.0, 2000.0, float("nan")):
        assert not tempo.follow("JACK transport", absurd, True, 0.2)
    assert tempo.bpm == 100.0


def test_what_the_user_sets_stays_until_a_source_comes():
    tempo = Tempo()
    tempo.set(150.0)
    assert tempo.bpm == 150.0
    assert tempo.follow("JACK transport", 80.0, True, 0.0)
    assert tempo.bpm == 80.0
