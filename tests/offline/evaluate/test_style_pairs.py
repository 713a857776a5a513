"""Pairs that judge styles: what is cut from recordings is as long as asked, and no two sets share a recording."""

import itertools

import numpy as np
import pytest
import soundfile

from gramophone.offline.data.corpora import CorporaError
from gramophone.offline.evaluate import style_pairs


@pytest.fixture
def a_piece_of_twenty_seconds(monkeypatch, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.full(20 * 8000, 0.1, np.float32), 8000)
    monkeypatch.setattr(style_pairs, "held_out_music", lambda name: path)
    monkeypatch.setattr(style_pairs, "_speech", lambda voice, which: iter([("a", np.ones(48_000, np.float32))]))
    monkeypatch.setattr(style_pairs, "PAIRS", {"some": "x/y@2  x/z@15", "voice": "anna@0  x/z@0"})


def test_a_recording_that_is_too_short_is_named(a_piece_of_twenty_seconds):
    with pytest.raises(CorporaError, match=r"short\.wav: 5\.0 s from second 15 on, expected 36\.0 s"):
        next(style_pairs.load_pairs("some"))


def test_a_voice_that_says_too_little_is_named(a_piece_of_twenty_seconds, monkeypatch):
    monkeypatch.setattr(style_pairs, "_STYLE_S", 5.0)
    with pytest.raises(CorporaError, match="the voice anna"):
        next(style_pairs.load_pairs("voice"))


def test_no_two_sets_share_a_piece_of_music_but_the_two_that_chose_defaults():
    lines = {name: pairs.strip().splitlines() for name, pairs in style_pairs.PAIRS.items()}
    music = {
        name: {spot.partition("@")[0].strip() for pair in found for spot in pair.strip().split("  ", 1)}
        for name, found in lines.items()
    }
    for one, other in itertools.combinations(music, 2):
        shared = {piece for piece in music[one] & music[other] if "/" in piece}
        assert not shared or {one, other} == {"mosaic", "further"}, (one, other, shared)
