"""Short phrases written for the bundled clips (CC0), and the notation that they are written in.

Words are `notes/beats`: `c4/1`, `c4+eb4+g4/2` for a chord, `-/.5` for a rest, `36/1` for a drum.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from gramophone.offline.data.fluidsynth import DRUM_CHANNEL, DRUMS


@dataclass(frozen=True)
class Phrase:
    """Melodies played together by one instrument: a program, beats a minute, and one text a voice."""

    program: int
    tempo: float
    voices: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write the phrase as a Standard MIDI File."""
        import mido

        song = mido.MidiFile(type=1)
        for number, melody in enumerate(self.voices):
            channel = DRUM_CHANNEL if self.program == DRUMS else number
            track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(self.tempo))])
            if self.program != DRUMS:
                track.append(mido.Message("program_change", program=self.program, channel=channel))
            for kind, note, velocity, beats in messages(melody):
                ticks = round(beats * song.ticks_per_beat)
                track.append(mido.Message(kind, note=note, velocity=velocity, channel=channel, time=ticks))
            song.tracks.append(track)
        song.save(path)


def messages(melody: str) -> list[tuple[str, int, int, float]]:
    """Return `(kind, note, velocity, beats since the message before)` for a melody.

    Velocity swells and falls over eight beats, so that a phrase breathes.
    """
    found: list[tuple[str, int, int, float]] = []
    now = rest = 0.0
    for word in melody.split():
        names, length = word.split("/")
        beats = float(length)
        velocity = round(88 + 24 * math.sin(math.tau * now / 8))
        notes = [] if names == "-" else [note_number(name) for name in names.split("+")]
        found += [("note_on", note, velocity, 0 if i else rest) for i, note in enumerate(notes)]
        found += [("note_off", note, 0, 0 if i else beats) for i, note in enumerate(notes)]
        rest = 0.0 if notes else rest + beats
        now += beats
    return found


def note_number(name: str) -> int:
    """Return the MIDI number of a note: `c4` is 60; `bb3`, `f#2` and bare numbers work too.

    Raises:
        ValueError: the name is not a note.
    """
    if name.isdigit():
        return int(name)
    found = re.fullmatch(r"([a-g])([#b]?)(\d)", name)
    if not found:
        raise ValueError(f"{name!r} is not a note; expected a letter a-g, perhaps # or b, and an octave")
    letter, accidental, octave = found.groups()
    return 12 * (int(octave) + 1) + "c d ef g a b".index(letter) + {"#": 1, "b": -1, "": 0}[accidental]


CHOIR = Phrase(
    52,
    108,
    (
        "f4/2 g4/2 a4/2 bb4/1 a4/1 g4/2 f4/1 e4/1 d4/4",
        "d4/2 e4/2 f4/2 g4/1 f4/1 d4/2 d4/1 c#4/1 a3/4",
        "a3/2 c4/2 c4/2 d4/1 d4/1 bb3/2 a3/1 a3/1 f3/4",
        "d3/2 c3/2 f2/2 g2/1 d3/1 g2/2 a2/1 a2/1 d2/4",
    ),
)
CELLO = Phrase(
    42,
    104,
    ("d2/1 a2/.5 f3/.5 e3/1.5 d3/.5 c3/.5 bb2/.5 a2/1 g2/.5 bb2/.5 d3/1 c#3/1 e3/1 a3/1.5 g3/.5 f3/1 e3/1 d3/2 d2/2",),
)
FLUTE = Phrase(
    73,
    108,
    (
        "a5/1 g5/.5 a5/.5 d6/1 c6/.5 bb5/.5 a5/1.5 -/.5 f5/.5 g5/.5 a5/1 e5/1 d5/1 -/.5 "
        "d5/.25 e5/.25 f5/.25 g5/.25 a5/.5 bb5/.5 c6/1 d6/2",
    ),
)
ORGAN = Phrase(
    19,
    116,
    (
        "d5/2 c#5/1 d5/1 e5/2 f5/1 e5/1 d5/2 c#5/2 d5/4",
        "a4+f4/2 a4+e4/2 a4+c5/2 bb4+d5/2 g4+bb4/2 e4+a4/2 f#4+a4/4",
        "d2+d3/2 a2+a3/2 f2+f3/2 g2+g3/2 bb2+g3/2 a2+a3/2 d2+d3/4",
    ),
)
MUSIC_BOX = Phrase(
    10,
    116,
    (
        "e6/.5 g6/.5 c7/1 b6/.5 g6/.5 e6/1 f6/.5 a6/.5 c7/1 b6/.5 a6/.5 g6/1 "
        "e6/.5 g6/.5 c7/.5 e7/.5 d7/1 b6/1 c7/.5 g6/.5 e6/.5 g6/.5 c7/2",
        "c5/1 g5/1 e5/1 g5/1 f5/1 a5/1 d5/1 g5/1 c5/1 g5/1 g5/1 f5/1 e5/1 g5/1 c5/2",
    ),
)
BRASS = Phrase(
    61,
    116,
    (
        "bb4/.5 -/.5 bb4/.5 c5/.5 d5/1.5 -/.5 eb5/.5 d5/.5 c5/.5 bb4/.5 c5/2 f4/.5 -/.5 f4/.5 g4/.5 a4/1 c5/1 bb4/4",
        "f4/.5 -/.5 f4/.5 f4/.5 f4/1.5 -/.5 g4/.5 f4/.5 eb4/.5 d4/.5 eb4/2 c4/.5 -/.5 c4/.5 d4/.5 eb4/1 eb4/1 d4/4",
        "bb2/.5 -/.5 bb2/.5 a2/.5 bb2/1.5 -/.5 eb3/.5 f3/.5 g3/.5 g3/.5 f3/2 f2/.5 -/.5 f2/.5 g2/.5 f2/1 a2/1 bb2/4",
    ),
)
STRINGS = Phrase(
    48,
    108,
    (
        "e5/3 d5/1 c5/2 b4/2 c5/2 e5/2 d5/4",
        "g4+c5/4 a4/2 g4/2 a4+f4/2 g4+c5/2 g4+b4/4",
        "c3+c4/4 f3/2 e3/2 f2+f3/2 e3/2 g2+g3/4",
    ),
)
SYNTH = Phrase(
    81,
    116,
    (
        "c3+g3+eb4/2 c3+ab3+f4/2 bb2+f3+d4/2 g2+d3+bb3+g4/2 c3+g3+eb4/1 f3+c4+ab4/1 g3+d4+b4/1 c3+g3+c4+eb5/3",
        "g4/.5 c5/.5 eb5/.5 g5/.5 f5/1 c5/1 d5/.5 bb4/.5 f4/1 g4/1 b4/1 c5/1 ab4/1 b4/1 c5/3",
    ),
)
DRUM_KIT = Phrase(
    DRUMS,
    120,
    (
        "36+49/.5 42/.5 38+42/.5 42/.25 36/.25 36+42/.5 42/.5 38+42/.5 46/.5 " * 2
        + "36+42/.5 42/.5 38+42/.5 38/.25 38/.25 50/.25 50/.25 47/.25 47/.25 43/.25 43/.25 38/.5 36+49/2",
    ),
)
RAG = Phrase(
    3,
    92,
    (
        "e5/.5 d#5/.25 e5/.5 g5/.5 c6/.75 a5/.5 g5/.25 e5/.5 g5/.75 d5/.5 c#5/.25 d5/.5 f5/.5 b5/.75 "
        "a5/.5 g5/.25 f5/.5 d5/.75 c5/.5 e5/.5 g5/.5 c6/1.5",
        "c3/.5 e4+g4/.5 g2/.5 e4+g4/.5 c3/.5 e4+g4/.5 g2/.5 e4+g4/.5 g2/.5 f4+g4/.5 d3/.5 f4+g4/.5 "
        "g2/.5 f4+g4/.5 b2/.5 f4+g4/.5 c3/.5 e4+g4/.5 g2/.5 e4+g4/.5 c3/1",
    ),
)
