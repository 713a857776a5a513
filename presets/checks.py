"""Checks of what a preset's TOML holds, shared by its tables; every error names the file and the key."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Scalar = float | bool | str

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""A name that is safe as a file's on every system, but for those that Windows reserves."""
_RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
"""Windows reserves these as device names."""
_LONGEST_TITLE = 200
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


def texts_at(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Return the texts of the list at `key`; none where there is no such key.

    Raises:
        PresetError: it is not a list of texts.
    """
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise PresetError(f"{where}: {key} = {value!r}: expected a list of texts")
    return tuple(value)


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


def name_of(text: str) -> str:
    """Return the name made of a text: small letters and digits, joined by `-`, 64 at most.

    Raises:
        PresetError: no name can be made of it.
    """
    if len(text) > _LONGEST_TITLE or not text.isprintable() or not {"/", "\\"}.isdisjoint(text):
        raise PresetError(f"name {text[:40]!r}: expected a short one without / or \\")
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].rstrip("-")
    if not NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise PresetError(f"name {text[:40]!r}: expected letters or digits in it, as in 'late-night-2'")
    return name
