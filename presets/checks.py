"""Checks of what a preset's TOML holds, shared by its tables; every error names the file and the key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Scalar = float | bool | str

_INTEGERS = range(-(2**63), 2**63)
"""What TOML requires a reader to hold; a longer one would not fit into a float either."""


class PresetError(ValueError):
    """A preset cannot be found, read, understood or saved; the message names the file and the key."""


def text_at(table: Mapping[str, Any], key: str, default: str | None, where: str) -> str:
    """Return the text at `key`, or `default`.

    Raises:
        PresetError: it is not a text, or missing where `default` is None.
    """
    value = table.get(key, default)
    if value is None:
        raise PresetError(f"{where}: key {key!r} is missing")
    if not isinstance(value, str):
        raise PresetError(f"{where}: {key} = {value!r}: expected a text")
    return value


def scalars(table: dict[str, Any], where: str) -> dict[str, Scalar]:
    """Return `table`, whose values are numbers, switches and texts.

    Raises:
        PresetError: one of them is something else.
    """
    for key, value in table.items():
        if not isinstance(value, int | float | bool | str):
            raise PresetError(f"{where}: {key} = {value!r}: expected a number, true, false or a text")
        if isinstance(value, int) and value not in _INTEGERS:
            raise PresetError(f"{where}: {key}: expected a number of at most 64 bits")
    return table


def tables(found: object, key: str, where: str) -> list[dict[str, Any]]:
    """Return the list of tables that was found at `key`.

    Raises:
        PresetError: it is something else.
    """
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise PresetError(f"{where}: {key} = {found!r}: expected [[{key}]] tables")
    return found


def repeated(items: Iterable[str]) -> Iterator[str]:
    """Yield each item that was there before."""
    seen: set[str] = set()
    for item in items:
        if item in seen:
            yield item
        seen.add(item)
