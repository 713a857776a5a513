"""How an evaluation is stated: figures in rows, targets that figures should reach, and the report of both."""

from __future__ import annotations

import json as json_format
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gramophone.offline.console import add_row, finite, new_table, print_json, print_table, wrote
from gramophone.presets.atomic import atomic_write

Row = Mapping[str, Any]
"""Figures and labels by name."""

_NAME_WIDTH = 28


class EvaluationError(RuntimeError):
    """An evaluation cannot be made; the message says what is missing."""


@dataclass(frozen=True)
class Target:
    """What a figure should reach: `at least` or `at most` the `goal`, in `unit` (empty for shares and scores)."""

    name: str
    goal: float
    direction: Literal["at least", "at most"] = "at least"
    unit: str = ""

    def is_reached(self, value: float) -> bool:
        """Return whether a value reaches the goal; one that is not a number does not."""
        return value >= self.goal if self.direction == "at least" else value <= self.goal

    def outcome(self, value: float, n: int | None = None, spread: float | None = None) -> Outcome:
        """Return this target beside a measured value, of `n` cases with a standard deviation of `spread`."""
        return Outcome(self, float(value), n, spread)


@dataclass(frozen=True)
class Outcome:
    """A target and the value that was measured: of `n` cases, with their standard deviation, where there are any."""

    target: Target
    value: float
    n: int | None = None
    spread: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the value reaches the target's goal."""
        return self.target.is_reached(self.value)

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for JSON."""
        target = self.target
        stated = {"goal": target.goal, "direction": target.direction, "unit": target.unit}
        return {**stated, "value": self.value, "reached": self.reached, "n": self.n, "spread": self.spread}

    def __str__(self) -> str:
        """Return the outcome as a line of text."""
        target, unit = self.target, f" {self.target.unit}" if self.target.unit else ""
        spread = "" if self.spread is None else f" ± {self.spread:.3g}"
        cases = "" if self.n is None else f", n = {self.n}"
        verdict = "reached" if self.reached else "MISSED"
        line = f"{target.name:{_NAME_WIDTH}} {self.value:7.3g}{spread}{unit}"
        return f"{line}  {target.direction} {target.goal:g}{unit}{cases}: {verdict}"


def outcomes(targets: Iterable[Target], figures: Mapping[str, float], n: int | None = None) -> list[Outcome]:
    """Return the outcomes of those targets whose figure is there and a number, of `n` cases each."""
    known = {name: value for name, value in figures.items() if value is not None and not math.isnan(value)}
    return [target.outcome(known[target.name], n) for target in targets if target.name in known]


@dataclass(frozen=True)
class Column:
    """A column of a table of rows: the figure's key, its title, and its format as of `format()`."""

    key: str
    title: str
    form: str = ""

    def cell(self, row: Row) -> str:
        """Return a row's figure as text; empty where there is none, or it is not a number."""
        value = row.get(self.key)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        return format(value, self.form) if self.form and not isinstance(value, str) else str(value)


def print_rows(columns: Sequence[Column], rows: Iterable[Row], title: str = "", least_width: int = 0) -> None:
    """Print rows as a table, as wide as the terminal or `least_width` columns."""
    table = new_table(*(column.title for column in columns), title=title)
    for row in rows:
        add_row(table, *(column.cell(row) for column in columns))
    print_table(table, least_width)


def by_group(
    rows: Iterable[Row], group: str, keys: Sequence[str], reduced: Callable[[Sequence[float]], Any]
) -> dict[str, dict[str, float]]:
    """Return the mean, median or the like of figures by the value of `group`; those of no row are left out."""
    columns: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        own = columns.setdefault(row[group], {})
        for key in keys:
            if row.get(key) is not None:
                own.setdefault(key, []).append(row[key])
    return {name: {key: float(reduced(own[key])) for key in keys if key in own} for name, own in columns.items()}


def report(
    data: Mapping[str, Any],
    reached: Sequence[Outcome] = (),
    *,
    json: bool,
    show: Callable[[], None],
    files: Iterable[Path] = (),
) -> None:
    """Print an evaluation: as one line of JSON with the outcomes under `targets`, or by `show` and a line per target.

    `files` are those that the evaluation wrote.
    """
    if json:
        print_json(with_targets(data, reached))
    else:
        show()
        for outcome in reached:
            print(outcome)
        wrote(*files)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write data as an indented JSON file, whole or not at all; figures that are not numbers are null.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_write(path) as part:
        part.write_text(json_format.dumps(finite(data), indent=1) + "\n", "utf-8")


def with_targets(data: Mapping[str, Any], reached: Sequence[Outcome]) -> dict[str, Any]:
    """Return data for JSON with the outcomes under `targets`, and null for figures that are not numbers."""
    stated = {"targets": {outcome.target.name: outcome.as_dict() for outcome in reached}} if reached else {}
    found: dict[str, Any] = finite({**data, **stated})
    return found
