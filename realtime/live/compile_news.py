"""Says what happens while a voice is compiled for a machine, once, for some 20 s: the time left, and when it is on.

How long it took is kept in the cache folder, so that the next countdown, after an update, is right for the machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from gramophone.realtime.kernels.compilations import Compilations
from gramophone.realtime.system.cache_folder import cache_folder

_USUAL_S = 20.0
"""On one free core, where this machine has not compiled yet."""
_SHORT_S, _BETWEEN_S = 1.0, 5.0
"""What takes less is not worth a word; so often the time left is said."""


class CompileNews:
    """Watches what is compiled while the `with` block runs, and calls `say` with sentences for people.

    `say` is called from a thread of its own, and last from the thread that leaves the block.
    """

    def __init__(self, say: Callable[[str], None], short_s: float = _SHORT_S) -> None:
        self._say, self._short_s = say, short_s
        self._record = cache_folder("compile-seconds")
        self._expected_s = _recorded_s(self._record)
        self._compilations = Compilations(self._begin)
        self._done = threading.Event()
        self._began: float | None = None
        self._counting = threading.Thread(target=self._count_down, name="compile-news", daemon=True)

    def __enter__(self) -> Self:
        self._compilations.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._compilations.__exit__()
        self._done.set()
        if self._began is None:
            return
        self._counting.join()
        took_s = time.monotonic() - self._began
        if kind is None and took_s >= self._short_s:
            self._say("the voice is on")
            with suppress(OSError):  # the next countdown is by what is usual
                self._record.parent.mkdir(parents=True, exist_ok=True)
                self._record.write_text(f"{took_s:.1f}\n", "utf-8")

    def _begin(self, _function: str) -> None:
        if self._began is None:
            self._began = time.monotonic()
            self._counting.start()

    def _count_down(self) -> None:
        began = time.monotonic()
        wait_s = self._short_s
        while not self._done.wait(wait_s):
            left = round(self._expected_s - (time.monotonic() - began))
            time_left = f"about {left} s left" if left > 0 else "a moment longer"
            self._say(f"compiling the voice for this machine, you hear yourself dry, {time_left}")
            wait_s = _BETWEEN_S


def _recorded_s(record: Path) -> float:
    """Return how long compiling took before, or what is usual."""
    try:
        return min(max(1.0, float(record.read_text("utf-8"))), 600.0)
    except (OSError, ValueError):
        return _USUAL_S
