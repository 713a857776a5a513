"""The functions that numba compiles, as they begin, in any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from numba.core import event


class Compilations(event.Listener):  # type: ignore[misc]
    """Counts the functions that numba compiles while the `with` block runs, and calls `report` with the name of each.

    Code that is kept from an earlier start is not compiled and not counted.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.count = 0
        self._report = report
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        event.register("numba:compile", self)
        return self

    def __exit__(self, *_: object) -> None:
        event.unregister("numba:compile", self)

    def on_start(self, event: Any) -> None:
        """Name the function."""
        with self._lock:
            self.count += 1
        self._report(event.data["dispatcher"].py_func.__name__.strip("_").replace("_", " "))

    def on_end(self, event: Any) -> None:
        """Do nothing: the next function is named when it starts."""
