"""Faults: what went wrong outside, counted by kind and shown once."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable

_SHOWN_PER_KIND = 10


class RefusedError(ValueError):
    """A packet, address or value that is not taken; `kind` is what it is counted as."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ErrorLog:
    """Counts of what went wrong. Each thing is shown once, and of one kind at most ten; any thread may call."""

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._shown: dict[str, set[str]] = {}
        self._show = show or logging.getLogger("gramophone.osc").warning

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind was met."""
        with self._lock:
            return dict(self._counts)

    def add(self, kind: str, text: str, about: str = "", times: int = 1) -> None:
        """Count a fault; show `text` where `about` (the address, the sender; else the text itself) is news."""
        about = about or text
        with self._lock:
            self._counts[kind] += times
            shown = self._shown.setdefault(kind, set())
            news = len(shown) < _SHOWN_PER_KIND and about not in shown
            if news:
                shown.add(about)
                if len(shown) == _SHOWN_PER_KIND:
                    text += " (more of this kind are counted, not shown)"
        if news:
            self._show(f"OSC, {kind}: {text}")
