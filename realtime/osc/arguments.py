"""The arguments of a message as a number, whole numbers, a switch or a text; other types are refused, never guessed.

What is refused is a `RefusedError`; the `ErrorLog` counts errors by kind and shows each once.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable

import numpy as np

from gramophone.realtime.osc.packet import Message

_SHOWN_PER_KIND = 10


class RefusedError(ValueError):
    """A packet, address or value that is refused; `kind` is what it is counted as."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ErrorLog:
    """Counts of errors by kind. Each error is shown once, and of one kind at most ten; any thread may call.

    `show` takes the text of an error that is shown for the first time; without it, the log `gramophone.osc` does.
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._shown: dict[str, set[str]] = {}
        self._show = show or logging.getLogger("gramophone.osc").warning

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind has occurred."""
        with self._lock:
            return dict(self._counts)

    def add(self, kind: str, text: str, about: str = "", times: int = 1) -> None:
        """Count an error; show `text` the first time for this `about`: an address, a sender, else the text itself."""
        about = about or text
        with self._lock:
            self._counts[kind] += times
            shown = self._shown.setdefault(kind, set())
            is_new = len(shown) < _SHOWN_PER_KIND and about not in shown
            if is_new:
                shown.add(about)
                if len(shown) == _SHOWN_PER_KIND:
                    text += " (more of this kind are counted, not shown)"
        if is_new:
            self._show(f"OSC, {kind}: {text}")


_NUMBERS = frozenset("ifhd")


def number(message: Message) -> float:
    """Return the one number of a message.

    A 32-bit float is read as the shortest decimal that rounds to it: 0.01 arrives as 0.00999999978 and is read as 0.01.

    Raises:
        RefusedError: it has other arguments.
    """
    if len(message.types) != 1 or message.types not in _NUMBERS:
        raise mistyped(message, "one number")
    value = float(message.arguments[0])
    return float(str(np.float32(value))) if message.types == "f" else value


def whole_numbers(message: Message) -> tuple[int, ...]:
    """Return the whole numbers of a message, of any number type: Pure Data, for one, sends every number as a float.

    Raises:
        RefusedError: there are none, others among them, or other arguments.
    """
    if not message.types or not _NUMBERS.issuperset(message.types):
        raise mistyped(message, "whole numbers")
    if any(value != int(value) for value in message.arguments):
        raise mistyped(message, "whole numbers")
    return tuple(int(value) for value in message.arguments)


def switch(message: Message) -> bool:
    """Return the one true or false of a message; 1 and 0 do as well.

    Raises:
        RefusedError: it has other arguments.
    """
    if message.types in ("T", "F"):
        return bool(message.arguments[0])
    if len(message.types) == 1 and message.types in _NUMBERS and message.arguments[0] in (0, 1):
        return bool(message.arguments[0])
    raise mistyped(message, "true or false, 1 or 0")


def text(message: Message) -> str:
    """Return the one text of a message.

    Raises:
        RefusedError: it has other arguments.
    """
    if message.types not in ("s", "S"):
        raise mistyped(message, "one text")
    return str(message.arguments[0])


def mistyped(message: Message, expected: str) -> RefusedError:
    """Return the error for arguments of the wrong number or type."""
    found = " ".join(repr(argument)[:40] for argument in message.arguments[:5]) or "nothing"
    return RefusedError(
        "mistyped", f"{message.address}: {found} (type tags {message.types[:20]!r}): expected {expected}"
    )
