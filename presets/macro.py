"""A macro: one control from 0 to 1 that sets one or several parameters of a preset, in a `[[macros]]` table.

    [[macros]]
    name = "Space"
    help = "how large the room is and how much of it there is"    # optional
    value = 0.3                # optional; without it, where the preset's own values put it
    targets = [
      { parameter = "room.wet", low = 0.0, high = 0.4 },
      { parameter = "room.room", low = 0.2, high = 0.95, curve = 0.5 },
    ]

`low` and `high` are values of the parameter in its own unit, those at 0 and at 1 of the macro; `low` may be
the greater. Which parameters and values there are is the parameter table's business (`realtime.macros`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gramophone.presets.checks import PresetError, Scalar, repeated, scalars, tables, text_at

MACRO = "macro"
"""What stands for the stage in the address of a macro: `macro.1` to `macro.8`."""
MOST_MACROS = 8
_KEYS = ("name", "help", "value", "targets")
_TARGET_KEYS = ("parameter", "low", "high", "curve")


@dataclass(frozen=True)
class MacroTarget:
    """A parameter that a macro sets: its address, its values at 0 and at 1 of the macro, in its own unit.

    `curve` is the exponent of the way between: 1 straight, 2 fine at the lower end.
    """

    parameter: str
    low: Scalar
    high: Scalar
    curve: float = 1.0

    def row(self) -> dict[str, Scalar]:
        """Return the table for a preset."""
        row: dict[str, Scalar] = {"parameter": self.parameter, "low": self.low, "high": self.high}
        return row if self.curve == 1 else row | {"curve": self.curve}


@dataclass(frozen=True)
class Macro:
    """A macro by the name on its control. `value`, 0 to 1, is None where the preset's own values decide it."""

    name: str
    targets: tuple[MacroTarget, ...]
    help: str = ""
    value: float | None = None

    def row(self) -> dict[str, Any]:
        """Return the `[[macros]]` table for a preset."""
        row: dict[str, Any] = {"name": self.name}
        if self.help:
            row["help"] = self.help
        if self.value is not None:
            row["value"] = self.value
        return row | {"targets": [target.row() for target in self.targets]}


def macros_from(found: object, where: str) -> tuple[Macro, ...]:
    """Return the macros that the `[[macros]]` tables of a file describe.

    Raises:
        PresetError: a key is missing, unknown or does not hold what it should, or there are too many tables.
    """
    rows = tables(found, "macros", where)
    if len(rows) > MOST_MACROS:
        raise PresetError(f"{where}: {len(rows)} [[macros]] tables: expected at most {MOST_MACROS}")
    macros = tuple(_macro(row, f"{where}: macro {number}") for number, row in enumerate(rows, 1))
    for name in repeated(macro.name for macro in macros):
        raise PresetError(f"{where}: two macros are called {name!r}; give one another name")
    return macros


def _macro(row: dict[str, Any], where: str) -> Macro:
    _refuse_unknown(row, _KEYS, where)
    name = text_at(row, "name", None, where)
    if not name.strip() or ":" in name or not name.isprintable():
        raise PresetError(f"{where}: name = {name!r}: expected a word or two, without ':'")
    where = f"{where} ({name})"
    value = _number(row, "value", where, 0.0, 1.0) if "value" in row else None
    rows = tables(row.get("targets", []), "targets", where)
    if not rows:
        raise PresetError(f"{where}: targets: expected at least one {{ parameter, low, high }}")
    targets = tuple(_target(target, f"{where}: target {number}") for number, target in enumerate(rows, 1))
    for address in repeated(target.parameter for target in targets):
        raise PresetError(f"{where}: two targets are parameter {address!r}; expected each once")
    return Macro(name, targets, text_at(row, "help", "", where), value)


def _target(row: dict[str, Any], where: str) -> MacroTarget:
    _refuse_unknown(row, _TARGET_KEYS, where)
    ends = scalars({key: row[key] for key in ("low", "high") if key in row}, where)
    for key in ("low", "high"):
        if key not in ends:
            raise PresetError(f"{where}: key {key!r} is missing")
    curve = _number(row, "curve", where, 0.0, math.inf) if "curve" in row else 1.0
    if not 0 < curve < math.inf:
        raise PresetError(f"{where}: curve = {curve:g}: expected a number above 0")
    return MacroTarget(text_at(row, "parameter", None, where), ends["low"], ends["high"], curve)


def _refuse_unknown(row: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in row:
        if key not in known:
            raise PresetError(f"{where}: unknown key {key!r}; expected {', '.join(known)}")


def _number(row: Mapping[str, Any], key: str, where: str, low: float, high: float) -> float:
    value = row[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        expected = f"a number from {low:g} to {high:g}" if high < math.inf else "a number above 0"
        raise PresetError(f"{where}: {key} = {value!r}: expected {expected}")
    return float(value)
