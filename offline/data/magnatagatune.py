"""MagnaTagATune from its official files: `annotations_final.csv` and the clips in folders 0 to f.

Law, West, Mandel, Bay and Downie, "Evaluation of algorithms using games" (ISMIR 2009). The annotations are separated by
tabs: a clip's number, a column of 0 or 1 for each of 188 tags, and the path of its MP3. Any set in this layout is read,
with any number of tags and any sound files.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.models.nets.tagger import RATE
from gramophone.offline.data.decoded import decoded
from gramophone.offline.data.recording import DataError, Dropped, Found, Recording
from gramophone.realtime.files import SoundFileError

ANNOTATIONS = "annotations_final.csv"
_FIRST, _LAST = "clip_id", "mp3_path"
LICENCE_FILE = "LICENCE"
"""Where a set of one's own says what its licence is, or line by line what it is made of: `SOURCE: LICENCE`."""

_SYNONYMS = """
beat/beats
chant/chanting
choir/choral
classical/clasical/classic
drum/drums
electro/electronic/electronica/electric
fast/fast beat/quick
female/female singer/female singing/female vocals/female vocal/female voice/woman/woman singing/women
flute/flutes
guitar/guitars
hard/hard rock
harpsichord/harpsicord
heavy/heavy metal/metal
horn/horns
india/indian
jazz/jazzy
male/male singer/male vocal/male vocals/male voice/man/man singing/men
no beat/no drums
no singer/no singing/no vocal/no vocals/no voice/no voices/instrumental
opera/operatic
orchestra/orchestral
quiet/silence
singer/singing
space/spacey
string/strings
strange/weird
synth/synthesizer
violin/violins
vocal/vocals/voice/voices
"""
SYNONYMS = tuple(tuple(line.split("/")) for line in _SYNONYMS.split("\n") if line)
"""Tags that mean the same; together they go by the name that most clips have."""

_SILENCE = 1e-4
_SHUFFLED_SEED = 0
_SHUFFLED_TRAINING = 0.95
_SHOWN = 5
"""How many of each kind of what was dropped are named to people."""


@dataclass(frozen=True)
class Annotations:
    """The annotations of every clip: its path below the folder, and a row of `labels`, `(clips, tags)` of bool."""

    tags: tuple[str, ...]
    paths: tuple[str, ...]
    labels: NDArray[np.bool_]


@dataclass(frozen=True)
class Clips:
    """Audible clips with their `labels`, `(clips, tags)` of bool."""

    recordings: tuple[Recording, ...]
    labels: NDArray[np.bool_]


@dataclass(frozen=True)
class TaggedMusic:
    """A tagged set at 16 kHz by parts, `training`, `validation` and perhaps `test`, and what was left out of it."""

    tags: tuple[str, ...]
    parts: Mapping[str, Clips]
    dropped: tuple[Dropped, ...]
    sources: tuple[str, ...]
    licence: str

    @property
    def fingerprint(self) -> str:
        """A hash of all sounds, tags and parts."""
        lines = sorted(
            f"{part} {recording.name} {recording.heard.digest} {row.tobytes().hex()}"
            for part, clips in self.parts.items()
            for recording, row in zip(clips.recordings, clips.labels, strict=True)
        )
        return hashlib.blake2b("\n".join([*self.tags, *lines]).encode(), digest_size=16).hexdigest()

    def report(self) -> Iterator[str]:
        """Yield for people how many clips there are and what was dropped, line by line."""
        yield ", ".join(f"{len(clips.recordings)} clips for {part}" for part, clips in self.parts.items())
        for place, tag in enumerate(self.tags):
            counts = (f"{int(clips.labels[:, place].sum())} {part}" for part, clips in self.parts.items())
            yield f"  {tag}: {', '.join(counts)}"
        for kind, count in Counter(item.kind for item in self.dropped).most_common():
            yield f"dropped, {kind}: {count}"
            items = [item for item in self.dropped if item.kind == kind]
            yield from (f"  {item.path}: {item.why}" for item in items[:_SHOWN])
            if count > _SHOWN:
                yield f"  and {count - _SHOWN} more"


def gather_tagged(folder: Path, split: str = "folders", top: int = 50) -> TaggedMusic:
    """Return the clips of a folder with the `top` tags, split one of `SPLITS`; clips that cannot be heard are dropped.

    Raises:
        DataError: the annotations cannot be read, there is no such split, or nothing is left to train on.
    """
    if split not in SPLITS:
        raise DataError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    annotations = most_used(merged(read_annotations(folder)), top)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(lambda path: _attempt(folder, path), annotations.paths))
    heard = {place: outcome for place, outcome in enumerate(outcomes) if isinstance(outcome, Recording)}
    parts = {}
    for part, chosen in SPLITS[split](annotations.paths).items():
        if found := [place for place in chosen if place in heard]:
            parts[part] = Clips(tuple(heard[place] for place in found), annotations.labels[found])
    dropped = tuple(outcome for outcome in outcomes if isinstance(outcome, Dropped))
    music = TaggedMusic(annotations.tags, parts, dropped, *_sources(folder))
    if not {"training", "validation"} <= parts.keys():
        report = "\n".join(music.report())
        raise DataError(f"{folder}: no clip is left to train on or to validate by, split by {split}\n{report}")
    return music


def read_annotations(folder: Path) -> Annotations:
    """Return all that `annotations_final.csv` in a folder says.

    Raises:
        DataError: there is no such file, or it is not in the official layout; the message names line and column.
    """
    path = folder / ANNOTATIONS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected MagnaTagATune's annotations beside folders 0 to f") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if not rows or len(rows[0]) < 3 or rows[0][0] != _FIRST or rows[0][-1] != _LAST:
        raise DataError(f"{path}, line 1: expected {_FIRST}, tags and {_LAST}, separated by tabs")
    header, *rest = rows
    for number, row in enumerate(rest, start=2):
        if len(row) != len(header):
            raise DataError(f"{path}, line {number}: {len(row)} columns; expected {len(header)}, separated by tabs")
        strange = next((index for index, value in enumerate(row[1:-1], 1) if value not in ("0", "1")), None)
        if strange is not None:
            raise DataError(f"{path}, line {number}, {header[strange]!r}: {row[strange]!r}; expected 0 or 1")
    labels = np.array([[value == "1" for value in row[1:-1]] for row in rest], np.bool_).reshape(-1, len(header) - 2)
    return Annotations(tuple(header[1:-1]), tuple(row[-1] for row in rest), labels)


def merged(annotations: Annotations) -> Annotations:
    """Return the annotations with synonyms as one tag: a clip has it if it has any of them."""
    counts = annotations.labels.sum(0)
    columns: dict[str, NDArray[np.bool_]] = {}
    group_of = {name: group for group in SYNONYMS for name in group}
    for name in annotations.tags:
        same = [place for place, tag in enumerate(annotations.tags) if tag in group_of.get(name, (name,))]
        best = max(same, key=lambda place: counts[place])
        columns[annotations.tags[best]] = np.asarray(annotations.labels[:, same].any(1))
    return Annotations(tuple(columns), annotations.paths, np.stack(list(columns.values()), 1))


def most_used(annotations: Annotations, top: int) -> Annotations:
    """Return the annotations with only the `top` tags that most clips have, most used first."""
    counts = annotations.labels.sum(0)
    best = [int(place) for place in np.argsort(-counts, kind="stable")[:top] if counts[place]]
    return Annotations(tuple(annotations.tags[place] for place in best), annotations.paths, annotations.labels[:, best])


def by_folders(paths: Sequence[str]) -> dict[str, list[int]]:
    """Return the clips' places by part: folders 0 to b for training, c for validation, d to f for testing."""
    parts: dict[str, list[int]] = {"training": [], "validation": [], "test": []}
    for place, path in enumerate(paths):
        folder = path[:1].lower()
        parts["training" if folder < "c" else "validation" if folder == "c" else "test"].append(place)
    return parts


def shuffled(paths: Sequence[str]) -> dict[str, list[int]]:
    """Return the clips' places by part: a random 95 % for training, the rest for validation; nothing is for testing."""
    order = np.random.default_rng(_SHUFFLED_SEED).permutation(len(paths)).tolist()
    border = min(round(_SHUFFLED_TRAINING * len(paths)), len(paths) - 1)
    return {"training": order[:border], "validation": order[border:]}


SPLITS: Mapping[str, Callable[[Sequence[str]], dict[str, list[int]]]] = {"folders": by_folders, "shuffled": shuffled}


def _attempt(folder: Path, path: str) -> Recording | Dropped:
    file = folder / path
    if not file.is_file():
        return Dropped(file, "missing", "no such file")
    try:
        heard, sound = decoded(file, RATE)
    except SoundFileError as error:
        return Dropped(file, "broken", str(error).removeprefix(f"{file}: "))
    if heard.peak < _SILENCE:
        return Dropped(file, "silent", f"its loudest sample is {heard.peak:.1g}")
    return Recording(Found(file, path), heard, sound)


def _sources(folder: Path) -> tuple[tuple[str, ...], str]:
    """Return what a set is made of, each source with its licence, and all the licences."""
    note = folder / LICENCE_FILE
    said = note.read_text("utf-8").strip().splitlines() if note.is_file() else ["MagnaTagATune's licence"]
    sources = tuple(line if ": " in line else f"{folder.name}: {line}" for line in said)
    return sources, ", ".join(dict.fromkeys(line.rpartition(": ")[2] for line in sources))
