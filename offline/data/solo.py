"""Solo percussion and instruments, made by rule: loops of a drum kit's samples, and phrases with rests of one voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.data import corpora
from gramophone.offline.data.fluidsynth import DRUM_CHANNEL, DRUMS, song_of, synthesise
from gramophone.offline.data.mono_audio import Sound

PERCUSSION = (47, 112, 113, 114, 115, 116, 117, 118, DRUMS)
"""Programs that are struck and not played in phrases."""
_GAP_S = 3.0
_STEPS = 16
_STROKES = 6
_LONGEST_S = 2.0
_SUFFIXES = {".wav", ".flac", ".aiff"}


def strokes(kit: Path, rate: int) -> list[Sound]:
    """Return the samples of a folder at `rate` Hz, at most two seconds of each."""
    paths = sorted(path for path in kit.iterdir() if path.suffix.lower() in _SUFFIXES)
    found = [corpora.load(path, rate)[: round(_LONGEST_S * rate)] for path in paths]
    return [sound for sound in found if np.abs(sound).max(initial=0) > 1e-3]


def drummed(samples: Sequence[Sound], seconds: float, rate: int, chance: np.random.Generator) -> Sound:
    """Return a loop of up to six of the samples at `rate` Hz; accents, and some strokes of each bar, vary."""
    chosen = [samples[i] for i in chance.permutation(len(samples))[: chance.integers(1, _STROKES + 1)]]
    sound = np.zeros(round(seconds * rate) + round(_LONGEST_S * rate), np.float32)
    for sample, start, force in _beats(chosen, seconds, chance):
        at = round(start * rate)
        sound[at : at + len(sample)] += np.float32(force) * sample
    return sound[: round(seconds * rate)]


def played(programs: Sequence[int], soundfont: Path, seconds: float, rate: int, seed: int) -> list[Sound]:
    """Return what each program plays alone, mono at `rate` Hz.

    Raises:
        DataError: FluidSynth is not installed, or failed.
    """
    import mido

    slot = seconds + _GAP_S
    events = [
        event
        for index, program in enumerate(programs)
        for event in _events(program, index * slot, seconds, np.random.default_rng([seed, index, program]))
    ]
    events.append((slot * len(programs), mido.MetaMessage("end_of_track")))
    whole = synthesise(song_of(events).save, soundfont, rate, 0.4, reverb={})
    whole = np.pad(whole, (0, max(round(slot * len(programs) * rate) - len(whole), 0)))
    return [whole[round(index * slot * rate) :][: round(seconds * rate)] for index in range(len(programs))]


def _beats(chosen: Sequence[Any], seconds: float, chance: np.random.Generator) -> Iterator[tuple[Any, float, float]]:
    """Yield which, when in seconds, and how strong, from a bar of sixteen steps that repeats with changes."""
    step = 60 / chance.uniform(60, 170) / 4
    share = chance.uniform(0.05, 0.6, len(chosen)) / len(chosen) ** 0.5
    bar = chance.random((len(chosen), _STEPS)) < share[:, None]
    bar[0, 0] = True
    for number in range(int(seconds / step)):
        swap = chance.random(len(chosen)) < 0.08
        for index in np.flatnonzero(bar[:, number % _STEPS] ^ swap).tolist():
            late = abs(chance.normal(0, 0.006))
            yield chosen[index], number * step + late, float(chance.uniform(0.3, 1.0))


def _events(program: int, start: float, seconds: float, chance: np.random.Generator) -> Iterator[tuple[float, Any]]:
    """Yield seconds and messages of one excerpt."""
    import mido

    channel = DRUM_CHANNEL if program == DRUMS else 0
    if program != DRUMS:
        yield start, mido.Message("program_change", program=program, channel=channel)
    notes = _struck(program, seconds, chance) if program in PERCUSSION else _phrases(seconds, chance)
    for at, length, pitch, velocity in notes:
        name = {"note": pitch, "channel": channel}
        yield start + at, mido.Message("note_on", velocity=velocity, **name)
        yield start + at + length, mido.Message("note_off", **name)


def _struck(program: int, seconds: float, chance: np.random.Generator) -> Iterator[tuple[float, float, int, int]]:
    pitches = chance.choice(np.arange(27, 88) if program == DRUMS else np.arange(45, 76), chance.integers(1, _STROKES))
    for pitch, start, force in _beats([int(pitch) for pitch in pitches], seconds, chance):
        yield start, 0.1, pitch, round(20 + 105 * force)


def _phrases(seconds: float, chance: np.random.Generator) -> Iterator[tuple[float, float, int, int]]:
    """Yield start, length, pitch and velocity of a melody that wanders, in phrases with rests between."""
    pitch, now = int(chance.integers(50, 75)), 0.1
    usual, detached, rest = chance.uniform(0.12, 0.7), chance.uniform(0.3, 1.0), chance.uniform(0.2, 1.5)
    while now < seconds:
        for _ in range(int(chance.integers(3, 14))):
            length = usual * float(chance.choice([0.5, 1, 1, 1, 2, 3]))
            if now + length > seconds:
                return
            pitch = int(np.clip(pitch + chance.integers(-4, 5), 43, 84))
            yield now, length * detached, pitch, int(chance.integers(40, 120))
            now += length
        now += rest
