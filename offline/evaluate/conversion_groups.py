"""Figures of voice conversions by groups of pairs: alike or unlike in pitch, of one sex or two, of one language or two.

Speaker embeddings depend largely on pitch, so pairs within .4 octaves are the harder test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gramophone.offline.data import flite
from gramophone.offline.data.corpora import EVERY
from gramophone.offline.data.phone_transcripts import language_of
from gramophone.offline.judges.interval import Interval, bootstrap

ALIKE_OCTAVES = 0.4
"""Largest distance of the median pitches of a pair that counts as alike."""


@dataclass(frozen=True)
class ScoredConversion:
    """The scores of a phrase of `source` converted to `target`, whose median pitches are `octaves` apart.

    `similarity` is the cosine of speaker embeddings to the target, `own` that of the target's own recordings, `kept`
    that to the source; `quality_lost` is in DNSMOS; `words_added` of `words` are the word errors beyond the
    recording's.
    """

    source: str
    target: str
    octaves: float
    similarity: float
    own: float
    kept: float
    quality_lost: float
    words_added: float
    words: float


def grouped(rows: Sequence[ScoredConversion]) -> dict[str, Interval]:
    """Return `nearer`, `share`, `quality lost` and `words added` of all pairs, and the first two of each group."""
    found = {
        **_identity("all", rows),
        "quality lost, all": bootstrap([row.quality_lost for row in rows]),
        "words added, all": bootstrap([row.words_added for row in rows], [row.words for row in rows]),
    }
    for group, belongs in _GROUPS.items():
        found |= _identity(group, [row for row in rows if belongs(row)])
    return {name: interval for name, interval in found.items() if interval.n}


def _identity(group: str, rows: Sequence[ScoredConversion]) -> dict[str, Interval]:
    return {
        f"nearer, {group}": bootstrap([float(row.similarity > row.kept) for row in rows]),
        f"share, {group}": bootstrap([row.similarity for row in rows], [row.own for row in rows]),
    }


@dataclass(frozen=True)
class Person:
    """The sex, None where it is not known, and the language of a speaker."""

    female: bool | None
    language: str


def person(name: str) -> Person:
    """Return what is known of a speaker of `corpora.EVERY`, of flite's or of Kokoro's by name."""
    if name in EVERY:
        return Person(EVERY[name].female, language_of(name).partition("-")[0])
    if name in flite.VOICES:
        return Person(flite.VOICES[name], "en")
    region, _, _ = name.partition("_")  # Kokoro writes a letter for the accent and one for the sex, as in `af_nova`
    return Person(region[1:] == "f", "en") if len(region) == 2 else Person(None, name)


def _same_sex(row: ScoredConversion, same: bool) -> bool:
    one, other = person(row.source).female, person(row.target).female
    return None not in (one, other) and (one == other) == same


def _same_language(row: ScoredConversion) -> bool:
    return person(row.source).language == person(row.target).language


_GROUPS: Mapping[str, Callable[[ScoredConversion], bool]] = {
    f"within {ALIKE_OCTAVES} octaves": lambda row: row.octaves <= ALIKE_OCTAVES,
    f"further than {ALIKE_OCTAVES} octaves": lambda row: row.octaves > ALIKE_OCTAVES,
    "same sex": lambda row: _same_sex(row, True),
    "other sex": lambda row: _same_sex(row, False),
    "same language": _same_language,
    "other language": lambda row: not _same_language(row),
}
