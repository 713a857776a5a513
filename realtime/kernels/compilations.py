"""The functions that numba compiles, as they begin, in any thread.

numba itself is not loaded here: `kernels.jit` passes on what it compiles, once something is to be compiled at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self


class Compilations:
    """Counts the functions that numba compiles while the `with` block runs, and calls `report` with the name of each.

    Code that is kept from an earlier start is not compiled and not counted.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.count = 0
        self._report = report
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        _watching.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _watching.remove(self)

    def note(self, function: str) -> None:
        """Count a function that is compiled now, and report its name."""
        with self._lock:
            self.count += 1
        self._report(function)


_watching: list[Compilations] = []


def note_compilation(function: str) -> None:
    """Let all who watch know that a function of this name is compiled now."""
    for each in tuple(_watching):
        each.note(function)
