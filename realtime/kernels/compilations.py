"""The functions that numba compiles, as they begin, in any thread; and who compiles them in this thread's place.

numba itself is not loaded here: `kernels.jit` passes on what it compiles, once something is to be compiled at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def compiling_elsewhere(compile_all: Callable[[], None]) -> Iterator[None]:
    """While the block runs, let this thread call `compile_all`, once, where a function has no code in the cache yet.

    It fills the cache from another process; what is missing still is then compiled by this thread.
    """
    _elsewhere.asked = [compile_all]
    try:
        yield
    finally:
        _elsewhere.asked = []


def compile_elsewhere() -> bool:
    """Have code compiled for this thread by whom `compiling_elsewhere` names; return whether that was done."""
    asked = getattr(_elsewhere, "asked", [])
    if not asked:
        return False
    asked.pop()()
    return True


_elsewhere = threading.local()
