"""Figures of voice conversions by groups of pairs: alike or unlike in pitch, of one sex or two, of one language or two.

Speaker embeddings depend largely on pitch, so pairs within .4 octaves are the harder test. Beside each figure stands
that of recordings, its ceiling: a perfect conversion would reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gramophone.offline.data import flite
from gramophone.offline.data.corpora import EVERY
from gramophone.offline.data.phone_transcripts import language_of
from gramophone.offline.judges.interval import Interval, bootstrap

ALIKE_OCTAVES = 0.4
"""Largest distance of the median pitches of a pair that counts as alike."""


@dataclass(frozen=True)
class Likeness:
    """What a speaker encoder says of a converted phrase: cosines to the target and to the source.

    `own` is the cosine of the target's recordings to the target, `recognised` the share of them that are nearer to the
    target than to the source: what a perfect conversion would have.
    """

    target: float
    source: float
    own: float
    recognised: float


@dataclass(frozen=True)
class Errors:
    """How many of `all` words or phonemes are wrong in a converted phrase, and how many are in the recording."""

    wrong: float
    recorded: float
    all: float


@dataclass(frozen=True)
class ScoredConversion:
    """The scores of a phrase of `source` converted to `target`, whose median pitches are `octaves` apart.

    `likeness` by speaker encoder; `quality` and `recorded_quality` are DNSMOS; `errors` by recogniser, of which those
    that do not understand the phrase's language are left out.
    """

    source: str
    target: str
    octaves: float
    likeness: Mapping[str, Likeness]
    quality: float
    recorded_quality: float
    errors: Mapping[str, Errors]


def grouped(rows: Sequence[ScoredConversion]) -> dict[str, Interval]:
    """Return the figures of all pairs, and identity's of each group, each with the recordings' beside it.

    By encoder: `nearer`, the share of phrases nearer to the target than to the source; `share`, the likeness to the
    target over the recordings' own. By recogniser: `added`, the rate of errors beyond the recordings'.
    """
    found = {
        **_identity("all", rows),
        "quality lost, all": bootstrap([row.recorded_quality - row.quality for row in rows]),
        "quality as recorded, all": bootstrap([row.recorded_quality for row in rows]),
    }
    for judge in _judges(row.errors for row in rows):
        errors = [row.errors[judge] for row in rows if judge in row.errors]
        totals = [one.all for one in errors]
        found[f"errors added, {judge}"] = bootstrap([one.wrong - one.recorded for one in errors], totals)
        found[f"errors as recorded, {judge}"] = bootstrap([one.recorded for one in errors], totals)
    for group, belongs in _GROUPS.items():
        found |= _identity(group, [row for row in rows if belongs(row)])
    return {name: interval for name, interval in found.items() if interval.n}


def _identity(group: str, rows: Sequence[ScoredConversion]) -> dict[str, Interval]:
    """Return the figures of identity of a group by encoder; the first encoder's name is left out."""
    found = {}
    for number, judge in enumerate(_judges(row.likeness for row in rows)):
        own = [row.likeness[judge] for row in rows if judge in row.likeness]
        pairs = [row.likeness[judge] for row in rows if judge in row.likeness and row.source != row.target]
        by = f" by {judge}" if number else ""
        found[f"nearer{by}, {group}"] = bootstrap([_nearer(one) for one in pairs])
        found[f"nearer as recorded{by}, {group}"] = bootstrap([one.recognised for one in pairs])
        found[f"share{by}, {group}"] = bootstrap([one.target for one in own], [one.own for one in own])
        if group == "all":
            found[f"likeness as recorded{by}, all"] = bootstrap([one.own for one in own])
    return found


def _nearer(one: Likeness) -> float:
    """Return 1 for a phrase nearer to the target than to the source, else 0; NaN where one of them is not known."""
    return float("nan") if np.isnan([one.target, one.source]).any() else float(one.target > one.source)


def _judges(found: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Yield the names of all judges, each once, in the order in which they come."""
    yield from dict.fromkeys(name for one in found for name in one)


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
