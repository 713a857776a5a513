"""Tagged music made from MIDI: tags are what plays all the time, and excerpts are functions of their number."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest

from gramophone.offline.data import fluidsynth, rendered
from gramophone.offline.data.fluidsynth import DRUMS
from gramophone.offline.data.magnatagatune import read_annotations
from gramophone.offline.data.recording import DataError
from gramophone.offline.data.rendered import (
    INSTRUMENTS,
    NAMES,
    RATE,
    SECONDS,
    Note,
    Part,
    Piece,
    arranged,
    play,
    read_piece,
    save_song,
    tags_of,
    treated,
)
from gramophone.offline.recipes.tagger import write_annotations

SOUNDFONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
needs_fluidsynth = pytest.mark.skipif(
    not (shutil.which("fluidsynth") and SOUNDFONT.exists()), reason="needs fluidsynth and timgm6mb-soundfont"
)


def line(program, pitch, seconds=20.0, every=0.5):
    notes = tuple(Note(start, 0.8 * every, pitch, 90) for start in np.arange(0, seconds, every))
    return Part(program, notes)


PIECE = Piece("made", (line(0, 60), line(33, 40), line(DRUMS, 38, every=0.25), line(122, 70)), 20.0)


def test_an_excerpt_is_a_function_of_its_number():
    excerpts = [arranged([PIECE], 1, number) for number in range(20)]
    assert excerpts == [arranged([PIECE], 1, number) for number in range(20)]
    assert len({repr(excerpt) for excerpt in excerpts}) == 20
    assert excerpts[0] != arranged([PIECE], 2, 0)


def test_every_part_has_a_tag_plays_in_both_halves_and_in_its_range():
    for number in range(200):
        excerpt = arranged([PIECE], 0, number)
        assert 1 <= len(excerpt) <= 4
        assert tags_of(excerpt) == {NAMES[part.program] for part in excerpt} <= INSTRUMENTS.keys()
        for part in excerpt:
            starts = [note.start for note in part.notes]
            assert 0 <= min(starts) < SECONDS / 2 < max(starts)
            assert max(note.start + note.seconds for note in part.notes) <= SECONDS
            if part.program != DRUMS:
                middle = INSTRUMENTS[NAMES[part.program]].middle
                assert abs(np.median([note.pitch for note in part.notes]) - middle) <= 6 + 4


def test_every_instrument_is_heard_and_none_but_drums_far_more_often_than_others():
    counts = dict.fromkeys(INSTRUMENTS, 0)
    for number in range(400):
        for name in tags_of(arranged([PIECE], 0, number)):
            counts[name] += 1
    assert counts.pop("drums") > 80
    assert min(counts.values()) > 4


def test_an_excerpt_does_without_programs():
    sitar = frozenset(INSTRUMENTS["sitar"].programs)
    without = sitar | {DRUMS, 0, 33}  # the last two as written
    excerpts = [arranged([PIECE], 0, number, without) for number in range(400)]
    played = {part.program for excerpt in excerpts for part in excerpt}
    assert not played & without
    assert {NAMES[program] for program in played} == INSTRUMENTS.keys() - {"sitar", "drums"}


def test_a_part_that_stops_half_way_is_not_a_tag():
    short = Piece("short", (line(0, 60, 12.0), line(40, 72, 2.0)), 12.0)
    for number in range(50):
        (part,) = arranged([short], 0, number)
        assert len(part.notes) > 5
    with pytest.raises(DataError, match="1 pieces: expected some in which an instrument plays"):
        arranged([Piece("silence", (), 10.0)], 0, 0)


def test_what_is_saved_as_midi_is_read_again(tmp_path):
    excerpt = arranged([PIECE], 0, 3)
    save_song([excerpt], tmp_path / "song.mid")
    found = read_piece(tmp_path / "song.mid")
    assert {part.program for part in found.parts} == {part.program for part in excerpt}
    for part in excerpt:
        (same,) = (other for other in found.parts if other.program == part.program)
        for note, again in zip(part.notes, same.notes, strict=True):
            assert (again.pitch, again.velocity) == (note.pitch, note.velocity)
            assert (again.start, again.seconds) == pytest.approx((note.start, note.seconds), abs=1.1e-3)


def test_a_tempo_and_a_program_change_are_heeded(tmp_path):
    song = mido.MidiFile(ticks_per_beat=480)
    song.tracks.append(
        mido.MidiTrack(
            [
                mido.MetaMessage("set_tempo", tempo=250_000),
                mido.Message("program_change", program=73, channel=3),
                mido.Message("note_on", note=72, velocity=80, channel=3, time=480),
                mido.Message("note_on", note=72, velocity=0, channel=3, time=960),
                mido.Message("note_on", note=36, velocity=70, channel=9),
                mido.Message("note_off", note=36, channel=9, time=48),
            ]
        )
    )
    song.save(tmp_path / "song.mid")
    flute, drums = read_piece(tmp_path / "song.mid").parts
    assert (flute.program, flute.notes) == (73, (Note(0.25, 0.5, 72, 80),))
    assert drums.program == DRUMS
    (tmp_path / "text.mid").write_text("no notes")
    with pytest.raises(DataError, match=r"text\.mid: not a MIDI file"):
        read_piece(tmp_path / "text.mid")


def test_treatment_changes_colour_and_level_and_never_clips():
    chance = np.random.default_rng(0)
    sound = chance.normal(0, 0.1, RATE).astype(np.float32)
    made = [treated(sound, chance) for _ in range(20)]
    levels = [20 * np.log10(np.sqrt(np.mean(one**2))) for one in made]
    assert max(np.abs(one).max() for one in made) < 1
    assert max(levels) - min(levels) > 8


@pytest.mark.peer
@needs_fluidsynth
def test_what_is_played_sounds_from_its_beginning_to_its_end_and_leaves_nothing_for_the_next():
    low, high = (line(19, pitch, SECONDS - 0.5) for pitch in (57, 88))
    first, second = play([(low, line(DRUMS, 38, SECONDS - 0.5)), (high,)], SOUNDFONT, 0)
    for sound in (first, second):
        assert len(sound) == SECONDS * RATE
        halves = [np.sqrt(np.mean(half**2)) for half in np.split(sound, 2)]
        assert 0.5 < halves[0] / halves[1] < 2
    power = np.abs(np.fft.rfft(second)) ** 2
    assert power[: round(400 * SECONDS)].sum() < 1e-3 * power.sum()


@pytest.mark.peer
@needs_fluidsynth
def test_every_part_of_an_excerpt_is_as_loud_as_its_level_says_whatever_the_soundfont():
    low, high = line(33, 40, SECONDS - 0.5), replace(line(75, 84, SECONDS - 0.5), level_db=-3.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendered, "treated", lambda sound, chance: sound)
        (together,) = play([(low, high)], SOUNDFONT, 0)
    power = np.abs(np.fft.rfft(together)) ** 2
    border = round(500 * SECONDS)
    assert 10 * np.log10(power[border:].sum() / power[:border].sum()) == pytest.approx(-3.0, abs=1.5)


def test_without_fluidsynth_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(fluidsynth.shutil, "which", lambda name: None)
    with pytest.raises(DataError, match="apt-get install fluidsynth"):
        play([(line(0, 60),)], SOUNDFONT, 0)


def test_annotations_are_in_the_official_layout(tmp_path):
    write_annotations(tmp_path, [("0/a.flac", frozenset({"piano", "drums"})), ("f/b.flac", frozenset({"speech"}))])
    found = read_annotations(tmp_path)
    assert found.paths == ("0/a.flac", "f/b.flac")
    assert [{found.tags[i] for i in np.flatnonzero(row)} for row in found.labels] == [{"piano", "drums"}, {"speech"}]
    with (tmp_path / "annotations_final.csv").open(newline="") as file:
        assert next(csv.reader(file, delimiter="\t"))[0] == "clip_id"
