"""The countdown while code is compiled for a machine, once, for some 20 s if it is a voice.

How long it took is kept in the cache folder for the kinds of stages that were compiled, so that the next countdown for
such, after an update, is right for the machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from gramophone.presets import Preset
from gramophone.realtime.kernels.compilations import Compilations
from gramophone.realtime.live.messages import Compiling
from gramophone.realtime.system.cache_folder import cache_folder

_USUAL_S = 20.0
"""On one free core, where this machine has not compiled yet."""
_SHORT_S, _BETWEEN_S = 1.0, 1.0
"""What takes less is not worth a word; so often the time left is reported."""
_PART = 0.3
_LONGEST_NAME = 200
_VOICES = ("latent", "voice")


class CompileCountdown:
    """Watches what is compiled for a preset while the `with` block runs, and calls `report` with the seconds left.

    They are 0 when it takes longer than it did before, and None once at the end, unless the block fails. Nothing is
    reported of what takes less than `short_s`. `report` is called from a thread of its own, and last from the one that
    leaves the block.
    """

    def __init__(self, preset: Preset, report: Callable[[Compiling], None], short_s: float = _SHORT_S) -> None:
        kinds = sorted({stage.kind for stage in preset.stages})
        self._report, self._short_s = report, short_s
        self._what = "the voice" if any(kind in _VOICES for kind in kinds) else "the preset"
        self._record = cache_folder("compile-times", "-".join(kinds)[:_LONGEST_NAME])
        self._compilations = Compilations(self._begin)
        self._lock, self._done = threading.Lock(), threading.Event()
        self._began: float | None = None
        self.compiled = False
        """Whether anything was compiled."""
        self._counting = threading.Thread(target=self._count_down, name="compile-countdown", daemon=True)

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
            self._report(Compiling(None, self._what))
            self._keep(took_s)

    def _keep(self, took_s: float) -> None:
        """Keep how long it took, unless that was a part of a voice, whose code was cached for the most."""
        if took_s < _PART * _recorded_s(self._record, 0.0):
            return
        with suppress(OSError):  # the next countdown is by what is usual
            self._record.parent.mkdir(parents=True, exist_ok=True)
            self._record.write_text(f"{took_s:.1f}\n", "utf-8")

    def _begin(self, _function: str) -> None:
        with self._lock:
            if self._began is not None:
                return
            self._began, self.compiled = time.monotonic(), True
        self._counting.start()

    def _count_down(self) -> None:
        began, expected_s = time.monotonic(), _recorded_s(self._record)
        wait_s = self._short_s
        while not self._done.wait(wait_s):
            self._report(Compiling(max(round(expected_s - (time.monotonic() - began)), 0), self._what))
            wait_s = _BETWEEN_S


def _recorded_s(record: Path, usual_s: float = _USUAL_S) -> float:
    """Return how long compiling took before, or what is usual."""
    try:
        return min(max(1.0, float(record.read_text("utf-8"))), 600.0)
    except (OSError, ValueError):
        return usual_s
