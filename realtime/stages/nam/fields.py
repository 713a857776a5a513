"""Fields of a JSON file that may hold anything: each is returned in its type and range, or refused by name."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any


class CaptureError(ValueError):
    """A capture holds something that cannot be played; the message says what was found and what was expected."""


class Fields:
    """The fields of one JSON object, `found`; `where` is its place in the file, for messages.

    Each method raises `CaptureError` for a field that is missing and has no default, or is of another type or range.
    """

    def __init__(self, found: Any, where: str) -> None:
        if not isinstance(found, dict):
            raise CaptureError(f"{where} is {_shown(found)}; expected an object")
        self.found: Mapping[str, Any] = found
        self._where = where

    def inner(self, name: str) -> Fields:
        """Return the fields of an object."""
        return Fields(self._value(name, None), self.path(name))

    def list(self, name: str) -> Sequence[Any]:
        """Return a list."""
        value = self._value(name, None)
        if not isinstance(value, list):
            raise self._unexpected(name, value, "a list")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise self._unexpected(name, value, "a text")
        return value

    def switch(self, name: str, default: bool | None = None) -> bool:
        """Return true or false."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self._unexpected(name, value, "true or false")
        return value

    def whole(self, name: str, default: int | None = None, most: int = 4096) -> int:
        """Return a whole number from 1 to `most`."""
        return whole(self._value(name, default), self.path(name), most)

    def number(self, name: str, default: float | None = None, least: float = -1e9, most: float = 1e9) -> float:
        """Return a finite number from `least` to `most`."""
        return number(self._value(name, default), self.path(name), least, most)

    def only(self, names: Collection[str]) -> None:
        """Raise `CaptureError` if a field of another name stands for something, so that no sound is played without it.

        Null, false, zero and what is empty or not `active` stand for nothing.
        """
        for name, value in self.found.items():
            is_off = not value or (isinstance(value, dict) and value.get("active") is False)
            if name not in names and not is_off:
                raise CaptureError(f"{self.path(name[:40])} is an unknown key; expected {', '.join(names)}")

    def _value(self, name: str, default: Any) -> Any:
        value = self.found.get(name)
        if value is None:
            value = default
        if value is None:
            raise CaptureError(f"{self.path(name)} is missing")
        return value

    def path(self, name: str) -> str:
        """Return where a field is in the file, for messages."""
        return name if self._where == "the file" else f"{self._where}.{name}"

    def _unexpected(self, name: str, value: Any, expected: str) -> CaptureError:
        return CaptureError(f"{self.path(name)} is {_shown(value)}; expected {expected}")


def whole(value: Any, where: str, most: int) -> int:
    """Return a whole number from 1 to `most`.

    Raises:
        CaptureError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise CaptureError(f"{where} is {_shown(value)}; expected a whole number from 1 to {most}")
    return value


def number(value: Any, where: str, least: float = -1e9, most: float = 1e9) -> float:
    """Return a finite number from `least` to `most`.

    Raises:
        CaptureError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CaptureError(f"{where} is {_shown(value)}; expected a number")
    if not least <= value <= most:
        raise CaptureError(f"{where} is {_shown(value)}; expected a number from {least:g} to {most:g}")
    return float(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
