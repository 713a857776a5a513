"""Tagged music made from MIDI files: excerpts arranged anew for other instruments, whose names are the tags.

An excerpt is a few parts of a few seconds of a piece, each given an instrument, a level and its octave; the whole is
given a key and a tempo. FluidSynth plays part after part, alone, for soundfonts make some instruments 10 dB louder than
others, and pieces some parts: mixed at levels of our own, every part can be heard, so its tag is true. Then each
excerpt goes through an equaliser and gets a loudness. What is played is a function of an excerpt's number and the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.models.nets.tagger import RATE
from gramophone.offline.data.fluidsynth import DRUM_CHANNEL, DRUMS, song_of, synthesise
from gramophone.offline.data.mono_audio import Sound, levelled, resampled
from gramophone.offline.data.recording import DataError

SPEECH = "speech"
"""The tag of real recordings of people who speak."""


@dataclass(frozen=True)
class RenderedInstrument:
    """General MIDI's programs that go by one name, and the middle of their range as a MIDI note."""

    programs: tuple[int, ...]
    middle: int


INSTRUMENTS: Mapping[str, RenderedInstrument] = {
    "piano": RenderedInstrument((0, 1, 2, 3), 64),
    "electric piano": RenderedInstrument((4, 5), 64),
    "harpsichord": RenderedInstrument((6,), 64),
    "bells": RenderedInstrument((8, 9, 10, 14), 76),
    "mallets": RenderedInstrument((11, 12, 13), 70),
    "organ": RenderedInstrument((16, 17, 18, 19, 20), 62),
    "accordion": RenderedInstrument((21, 22, 23), 67),
    "acoustic guitar": RenderedInstrument((24, 25), 58),
    "electric guitar": RenderedInstrument((26, 27, 28), 58),
    "distorted guitar": RenderedInstrument((29, 30), 55),
    "bass": RenderedInstrument((32, 33, 34, 35, 36, 37, 38, 39), 38),
    "violin": RenderedInstrument((40, 41), 72),
    "cello": RenderedInstrument((42, 43), 50),
    "pizzicato": RenderedInstrument((45,), 60),
    "harp": RenderedInstrument((46,), 66),
    "strings": RenderedInstrument((48, 49, 50, 51), 64),
    "choir": RenderedInstrument((52, 53, 54), 64),
    "brass": RenderedInstrument((56, 57, 58, 59, 60, 61), 60),
    "saxophone": RenderedInstrument((64, 65, 66, 67), 60),
    "reeds": RenderedInstrument((68, 69, 70, 71), 66),
    "flute": RenderedInstrument((72, 73, 74, 75), 76),
    "synth lead": RenderedInstrument((80, 81, 82, 83, 84, 85, 86, 87), 68),
    "synth pad": RenderedInstrument((88, 89, 90, 91, 92, 93, 94, 95), 62),
    "sitar": RenderedInstrument((104,), 60),
    "banjo": RenderedInstrument((105,), 62),
    "drums": RenderedInstrument((DRUMS,), 0),
}
NAMES = {program: name for name, instrument in INSTRUMENTS.items() for program in instrument.programs}
"""The tag of a program; some programs have none."""

SECONDS = 6.0
"""How long an excerpt is."""
_GAP_S = 2.0
"""For the sound to die away before the next."""
_SLOT_S = SECONDS + _GAP_S
_KEPT_AS_WRITTEN = 0.3
_PARTS = (0.3, 0.3, 0.25, 0.15)
"""Chances of one to four parts."""
_QUIETEST_DB = -6.0
"""Of a part, below the loudest."""
_LEAST_SOUNDING_S = 0.5
"""In each half of an excerpt: so that a tag is true of any part of it."""
_CHANNELS = 16
_ALL_SOUND_OFF = 120
_PLAYED_RATE = 32_000
_TRIES = 1000


@dataclass(frozen=True)
class Note:
    """A note: its start and length in seconds, its number and its velocity."""

    start: float
    seconds: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Part:
    """What one program plays, and how loud in dB among parts that would all be equally loud."""

    program: int
    notes: tuple[Note, ...]
    level_db: float = 0.0


@dataclass(frozen=True)
class Piece:
    """A piece of music by parts, and how long it is."""

    name: str
    parts: tuple[Part, ...]
    seconds: float


Excerpt = tuple[Part, ...]
"""What is played in one excerpt, from second 0 on."""


def tags_of(excerpt: Excerpt) -> frozenset[str]:
    """Return the names of the instruments in an excerpt."""
    return frozenset(NAMES[part.program] for part in excerpt)


def read_piece(path: Path) -> Piece:
    """Return what a MIDI file plays.

    Raises:
        DataError: it is no MIDI file that can be read.
    """
    import mido

    try:
        song = mido.MidiFile(path)
        messages = list(song)
    except (OSError, ValueError, EOFError, IndexError) as error:
        raise DataError(f"{path}: not a MIDI file that can be read ({error})") from None
    now = 0.0
    programs = dict.fromkeys(range(_CHANNELS), 0) | {DRUM_CHANNEL: DRUMS}
    held: dict[tuple[int, int], tuple[float, int, int]] = {}
    notes: dict[tuple[int, int], list[Note]] = {}
    for message in messages:
        now += message.time
        if message.type == "program_change" and message.channel != DRUM_CHANNEL:
            programs[message.channel] = message.program
        elif message.type in ("note_on", "note_off"):
            key = message.channel, message.note
            if key in held:
                start, velocity, program = held.pop(key)
                notes.setdefault((message.channel, program), []).append(Note(start, now - start, key[1], velocity))
            if message.type == "note_on" and message.velocity:
                held[key] = now, message.velocity, programs[message.channel]
    parts = tuple(Part(program, tuple(found)) for (_, program), found in sorted(notes.items()))
    return Piece(path.stem, parts, now)


def arranged(pieces: Sequence[Piece], seed: int, number: int, without: Set[int] = frozenset()) -> Excerpt:
    """Return excerpt `number`, `without` some programs.

    Raises:
        DataError: no place was found in the pieces where anything sounds all the time.
    """
    chance = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, number]))
    for _ in range(_TRIES):
        piece = pieces[int(chance.integers(len(pieces)))]
        tempo = float(np.exp(chance.uniform(np.log(0.8), np.log(1.25))))
        start = chance.uniform(0, max(piece.seconds - SECONDS * tempo, 0))
        parts = [part for part in piece.parts if part.program != DRUMS or DRUMS not in without]
        playing = [part for part in (_cut(part, start, tempo) for part in parts) if _sounds_throughout(part)]
        if playing:
            count = min(1 + int(chance.choice(len(_PARTS), p=_PARTS)), len(playing))
            chosen = [playing[index] for index in chance.permutation(len(playing))[:count]]
            key = int(chance.integers(-4, 5))
            return tuple(_orchestrated(part, key, without, chance) for part in chosen)
    raise DataError(f"{len(pieces)} pieces: expected some in which an instrument plays for {SECONDS:g} s")


def play(excerpts: Sequence[Excerpt], soundfont: Path, seed: int) -> list[Sound]:
    """Return every excerpt as a soundfont plays it, mono at 16 kHz, in one of many rooms, treated and levelled.

    Raises:
        DataError: FluidSynth is not installed, or failed.
    """
    chance = np.random.default_rng(seed)
    room = {"room-size": chance.uniform(0.1, 0.8), "level": chance.uniform(0, 0.7), "damp": chance.uniform(0, 0.6)}
    parts = [part for excerpt in excerpts for part in excerpt]
    # Quiet enough never to clip: `treated` sets the level.
    mono = synthesise(partial(save_song, [(part,) for part in parts]), soundfont, _PLAYED_RATE, 0.2, room)
    slot = round(_SLOT_S * _PLAYED_RATE)
    mono = np.pad(mono, (0, max(slot * len(parts) - len(mono), 0)))
    alone = (mono[slot * index :][: round(SECONDS * _PLAYED_RATE)] for index in range(len(parts)))
    heard = (resampled(np.ascontiguousarray(cut), _PLAYED_RATE, RATE) for cut in alone)
    return [treated(_mixed(excerpt, heard), chance) for excerpt in excerpts]


def treated(sound: Sound, chance: np.random.Generator) -> Sound:
    """Return a sound at 16 kHz through a random equaliser, and at a random level that does not clip."""
    from pedalboard import HighShelfFilter, LowShelfFilter, PeakFilter

    low, middle, high = (float(decibels) for decibels in chance.uniform(-6, 6, 3))
    equaliser = (
        LowShelfFilter(float(chance.uniform(80, 400)), low),
        PeakFilter(float(np.exp(chance.uniform(np.log(300), np.log(4000)))), middle, 0.7),
        HighShelfFilter(float(chance.uniform(2000, 5000)), high),
    )
    for band in equaliser:
        sound = band(sound, RATE)
    equal = levelled(sound)
    gain = 10 ** (chance.uniform(-15, 6) / 20)
    peak = float(np.abs(equal).max(initial=0))
    return equal * np.float32(min(gain, 0.99 / peak) if peak else gain)


def _mixed(excerpt: Excerpt, heard: Iterator[Sound]) -> Sound:
    """Return an excerpt's parts together, each the next that was `heard`."""
    parts = [levelled(next(heard)) * np.float32(10 ** (part.level_db / 20)) for part in excerpt]
    return np.asarray(np.sum(parts, axis=0))


def _cut(part: Part, start: float, tempo: float) -> Part:
    """Return what of a part sounds in the excerpt from `start` on, played `tempo` times as fast."""
    found = []
    for note in part.notes:
        first, last = (note.start - start) / tempo, (note.start + note.seconds - start) / tempo
        if last > 0 and first < SECONDS:
            first, last = max(first, 0.0), min(last, SECONDS)
            found.append(replace(note, start=first, seconds=last - first))
    return replace(part, notes=tuple(found))


def _sounds_throughout(part: Part) -> bool:
    """Whether a cut part sounds in both halves; of a drum, four strokes count as sounding."""
    middle = SECONDS / 2
    for start, end in ((0.0, middle), (middle, SECONDS)):
        here = [note for note in part.notes if note.start < end and note.start + note.seconds > start]
        sounding = sum(min(note.start + note.seconds, end) - max(note.start, start) for note in here)
        if len(here) < 4 if part.program == DRUMS else sounding < _LEAST_SOUNDING_S:
            return False
    return True


def _orchestrated(part: Part, key: int, without: Set[int], chance: np.random.Generator) -> Part:
    """Return a cut part for an instrument that has a name: in its range, at a level."""
    level, force = chance.uniform(_QUIETEST_DB, 0), chance.uniform(0.7, 1.1)
    notes = [replace(note, velocity=int(np.clip(note.velocity * force, 30, 127))) for note in part.notes]
    if part.program == DRUMS:
        return Part(DRUMS, tuple(notes), level)
    program = part.program
    if program not in NAMES or program in without or chance.random() > _KEPT_AS_WRITTEN:
        there = ([p for p in one.programs if p not in without | {DRUMS}] for one in INSTRUMENTS.values())
        melodic = [programs for programs in there if programs]
        program = int(chance.choice(melodic[chance.integers(len(melodic))]))
    middle = INSTRUMENTS[NAMES[program]].middle
    shift = key + 12 * round((middle - float(np.median([note.pitch for note in notes]))) / 12)
    moved = (replace(note, pitch=int(np.clip(note.pitch + shift, 12, 115))) for note in notes)
    return Part(program, tuple(moved), level)


def save_song(excerpts: Sequence[Excerpt], path: Path) -> None:
    """Write a MIDI file that plays excerpts in a row, a gap after each."""
    import mido

    events = [event for index, excerpt in enumerate(excerpts) for event in _events(excerpt, index * _SLOT_S)]
    events.append((len(excerpts) * _SLOT_S, 3, mido.MetaMessage("end_of_track")))
    by_rank = sorted(events, key=lambda event: event[:2])
    song_of((seconds, message) for seconds, _, message in by_rank).save(path)


def _events(excerpt: Excerpt, start: float) -> Iterator[tuple[float, int, Any]]:
    """Yield seconds, rank among messages of one time, and message: silence, then settings, then notes."""
    import mido

    for channel in range(_CHANNELS):
        yield start, 0, mido.Message("control_change", control=_ALL_SOUND_OFF, channel=channel)
    free = iter(channel for channel in range(_CHANNELS) if channel != DRUM_CHANNEL)
    for part in excerpt:
        channel = DRUM_CHANNEL if part.program == DRUMS else next(free)
        for message in _settings(part, channel):
            yield start, 1, message
        for note in part.notes:
            name = {"note": note.pitch, "channel": channel}
            yield start + note.start, 2, mido.Message("note_on", velocity=note.velocity, **name)
            yield start + note.start + note.seconds, 2, mido.Message("note_off", **name)


def _settings(part: Part, channel: int) -> list[Any]:
    """Return the messages that set up a part's channel."""
    import mido

    controls = {7: 100, 10: 64, 11: 127, 1: 0, 64: 0}
    found = [
        mido.Message("control_change", control=key, value=value, channel=channel) for key, value in controls.items()
    ]
    program = 0 if part.program == DRUMS else part.program
    return [*found, mido.Message("program_change", program=program, channel=channel)]
