"""A recording's path, speaker and text, and the measurements of its sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


class DataError(ValueError):
    """Recordings cannot be used; the message names the place, what was found and what was expected."""


@dataclass(frozen=True)
class Found:
    """A sound file of a data set, not yet decoded.

    `name` is what the split into training and held-out recordings goes by; `speaker` and `text` are empty where they
    are not known.
    """

    path: Path
    name: str
    speaker: str = ""
    text: str = ""


@dataclass(frozen=True)
class Heard:
    """The measurements of a recording at the training rate, from its audible parts.

    `rate` is the file's own in Hz, `frames` its length at the training rate. `spans` are the audible parts, first and
    one past the last frame each. `level` and `peak` are the RMS of the audible parts and the largest sample, 1 being
    full scale. `digest` is a hash of the decoded sound. `remarks`: what is to be known about the file, in words.
    """

    rate: int
    frames: int
    spans: tuple[tuple[int, int], ...]
    level: float
    peak: float
    digest: str
    remarks: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> Self:
        """Return what `asdict` gave, read from JSON, which has lists for tuples."""
        spans, remarks = tuple(map(tuple, known["spans"])), tuple(known.get("remarks", ()))
        return cls(**{**known, "spans": spans, "remarks": remarks})

    @property
    def audible(self) -> int:
        """Frames in audible parts."""
        return sum(end - start for start, end in self.spans)


@dataclass(frozen=True)
class Recording:
    """A recording that can be learnt from: found, heard and kept decoded in the file `sound`, 16 bits at one rate."""

    found: Found
    heard: Heard
    sound: Path

    @property
    def name(self) -> str:
        """The name that decides the split."""
        return self.found.name

    @property
    def speaker(self) -> str:
        """The speaker's name, or empty."""
        return self.found.speaker

    @property
    def gain(self) -> float:
        """What brings its audible parts to -20 dBFS, or its peak to full scale if that is less."""
        return min(0.1 / self.heard.level, 0.99 / self.heard.peak)


@dataclass(frozen=True)
class Dropped:
    """A recording, or all of a speaker, that is left out, and why; `why` is a phrase, `kind` one word to count by."""

    path: Path
    kind: str
    why: str


def spread_evenly(recordings: Sequence[Recording], count: int) -> list[Recording]:
    """Return up to `count` of some recordings, from the first to the last."""
    if len(recordings) <= count:
        return list(recordings)
    step = (len(recordings) - 1) / max(count - 1, 1)
    return [recordings[round(number * step)] for number in range(count)]
