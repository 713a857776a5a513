"""The error log: what went wrong, counted by kind, each error shown once."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable

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
