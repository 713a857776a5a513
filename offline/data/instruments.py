"""Instruments as speakers: phrases for one voice, made up by rule and played by a General MIDI soundfont.

Every note has a vibrato, a dynamic and now and then a glide from the one before of its own, so that a model hears an
instrument at all pitches and strengths rather than a soundfont's few samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.data import corpora
from gramophone.offline.data.fluidsynth import demand_fluidsynth, song_of, synthesise
from gramophone.offline.data.packages import filled
from gramophone.offline.data.recording import DataError
from gramophone.realtime.system.cache_folder import cache_folder

PACKAGE, LICENCE = "fluid-soundfont-gm", "MIT"
PHRASES, PHRASE_S = 32, 15.0
_SOUNDFONT = "usr/share/sounds/sf2/FluidR3_GM.sf2"
_VERSION = 1
"""Version of the phrases; a new one renders them again."""
_RATE = 16_000
_STEP_S = 0.01
"""How often bend and expression are set."""
_BEND_RANGE = 2.0
"""Semitones that General MIDI's pitch bend reaches."""
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))


@dataclass(frozen=True)
class Instrument:
    """General MIDI's program, counted from 0, and the lowest and highest note of a player."""

    program: int
    lowest: int
    highest: int


INSTRUMENTS = {
    "flute": Instrument(73, 60, 84),
    "cello": Instrument(42, 38, 72),
    "violin": Instrument(40, 55, 83),
    "trumpet": Instrument(56, 54, 80),
    "clarinet": Instrument(71, 50, 82),
    "choir": Instrument(52, 48, 76),
}


def played(name: str) -> Path:
    """Return the folder with an instrument's phrases, rendered if they are not in the cache.

    Raises:
        DataError: there is no such instrument, FluidSynth is not installed, or it failed.
        CorporaError: the soundfont's package cannot be had.
    """
    if name not in INSTRUMENTS:
        raise DataError(f"instrument:{name}: no such instrument; expected one of {', '.join(INSTRUMENTS)}")
    folder = cache_folder("instruments", f"{name}-{_VERSION}")
    if folder.is_dir():
        return folder
    demand_fluidsynth()
    corpora.fetch([PACKAGE])
    with filled(folder) as part:
        for number in range(PHRASES):
            _play(INSTRUMENTS[name], number, part / f"{name}-{number:02d}.wav")
    return folder


def _play(instrument: Instrument, number: int, path: Path) -> None:
    """Write one phrase as the soundfont plays it."""
    import mido
    import soundfile

    chance = np.random.default_rng([instrument.program, number])
    song = song_of([(0.0, mido.Message("program_change", program=instrument.program)), *_events(instrument, chance)])
    sound = synthesise(song.save, corpora.unpacked_file(PACKAGE, _SOUNDFONT), _RATE, 0.6)
    soundfile.write(path, sound, _RATE, "PCM_16")


def _events(instrument: Instrument, chance: np.random.Generator) -> Iterator[tuple[float, Any]]:
    """Yield seconds and messages of a melody that wanders through a scale; no two notes sound at once."""
    import mido

    scale = _SCALES[chance.integers(len(_SCALES))]
    key = int(chance.integers(12))
    notes = [note for note in range(instrument.lowest, instrument.highest + 1) if (note - key) % 12 in scale]
    place, now, last = int(chance.integers(len(notes))), 0.1, None
    while now < PHRASE_S:
        place = int(np.clip(place + chance.integers(-3, 4), 0, len(notes) - 1))
        length = float(np.exp(chance.uniform(np.log(0.12), np.log(2.0))))
        yield now, mido.Message("note_on", note=notes[place], velocity=int(chance.integers(40, 120)))
        yield from _shaping(notes[place], last, now, length, chance)
        yield now + length, mido.Message("note_off", note=notes[place])
        last = notes[place]
        now += length + (float(chance.uniform(0.1, 0.5)) if chance.random() < 0.2 else 0.005)


def _shaping(
    note: int, last: int | None, start: float, length: float, chance: np.random.Generator
) -> Iterator[tuple[float, Any]]:
    """Yield the bends and strengths of one note: a glide into it, a vibrato that sets in, a swell or a fade."""
    import mido

    time = np.arange(0, length, _STEP_S)
    speed, depth = chance.uniform(4.5, 6.5), chance.uniform(0, 0.5)
    bend = depth * np.clip(time / 0.3 - 0.5, 0, 1) * np.sin(2 * np.pi * speed * time)
    if last is not None and chance.random() < 0.3:
        bend += np.clip(last - note, -_BEND_RANGE, _BEND_RANGE) * np.clip(1 - time / chance.uniform(0.05, 0.2), 0, 1)
    strength = np.interp(time / length, [0, 0.5, 1], chance.uniform(50, 127, 3))
    for at, semitones, value in zip(time, np.clip(bend / _BEND_RANGE, -1, 1), strength, strict=True):
        yield start + at, mido.Message("pitchwheel", pitch=round(8191 * semitones))
        yield start + at, mido.Message("control_change", control=11, value=round(value))
