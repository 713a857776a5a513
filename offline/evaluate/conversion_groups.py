"""Figures of voice conversions by groups of pairs: alike or unlike in pitch, of one sex or two, of one language or two.

What a speaker encoder finds nearer is largely pitch, so pairs within .4 octaves are the harder test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gramophone.offline.data.corpora import VOICES
from gramophone.offline.data.phone_transcripts import language_of
from gramophone.offline.judges.interval import Interval, bootstrap

ALIKE_OCTAVES = 0.4
"""Median pitches this close together make a pair alike."""
FLITE = {"slt": True, "rms": False, "awb": False, "kal": False}
"""flite's voices, which nothing is trained on, and whether women's."""


@dataclass(frozen=True)
class JudgedConversion:
    """A phrase of `source` converted to `target`, whose median pitches are so many `octaves` apart.

    `likeness` is the cosine to the target, `own` that of the target's own recordings, `kept` that to the source;
    `quality_lost` is in DNSMOS; of `words` so many more were wrong than in the recording.
    """

    source: str
    target: str
    octaves: float
    likeness: float
    own: float
    kept: float
    quality_lost: float
    words_added: float
    words: float


def grouped(rows: Sequence[JudgedConversion]) -> dict[str, Interval]:
    """Return `nearer`, `share`, `quality lost` and `words added` of all pairs, and the first two of each group."""
    found = {
        **_identity("all", rows),
        "quality lost, all": bootstrap([row.quality_lost for row in rows]),
        "words added, all": bootstrap([row.words_added for row in rows], [row.words for row in rows]),
    }
    for group, belongs in _GROUPS.items():
        found |= _identity(group, [row for row in rows if belongs(row)])
    return {name: interval for name, interval in found.items() if interval.n}


def _identity(group: str, rows: Sequence[JudgedConversion]) -> dict[str, Interval]:
    return {
        f"nearer, {group}": bootstrap([float(row.likeness > row.kept) for row in rows]),
        f"share, {group}": bootstrap([row.likeness for row in rows], [row.own for row in rows]),
    }


@dataclass(frozen=True)
class Person:
    """What a pair is told apart by: whether a woman, None where it is not known, and the language."""

    female: bool | None
    language: str


def person(name: str) -> Person:
    """Return what is known of a speaker of `corpora.VOICES`, of flite's or of Kokoro's by name."""
    if name in VOICES:
        return Person(VOICES[name].female, language_of(name).partition("-")[0])
    if name in FLITE:
        return Person(FLITE[name], "en")
    region, _, _ = name.partition("_")  # Kokoro writes a letter for the accent and one for the sex, as in `af_nova`
    return Person(region[1:] == "f", "en") if len(region) == 2 else Person(None, name)


def _same_sex(row: JudgedConversion, same: bool) -> bool:
    one, other = person(row.source).female, person(row.target).female
    return None not in (one, other) and (one == other) == same


def _same_language(row: JudgedConversion) -> bool:
    return person(row.source).language == person(row.target).language


_GROUPS: Mapping[str, Callable[[JudgedConversion], bool]] = {
    f"within {ALIKE_OCTAVES} octaves": lambda row: row.octaves <= ALIKE_OCTAVES,
    f"further than {ALIKE_OCTAVES} octaves": lambda row: row.octaves > ALIKE_OCTAVES,
    "same sex": lambda row: _same_sex(row, True),
    "other sex": lambda row: _same_sex(row, False),
    "same language": _same_language,
    "other language": lambda row: not _same_language(row),
}
