"""The progress bar of batch work: seconds of sound done, and how many times faster than real time."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress


class Bar:
    """A bar with one column of its own while the `with` block runs; none if `quiet` or off a terminal."""

    def __init__(self, title: str, total: float | None, quiet: bool) -> None:
        console = Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=total, said="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class Progress(Bar):
    """Shows sound done and speed on the terminal while the `with` block runs; call it with seconds of sound done.

    `total` is the sound to come in seconds, 0 where nobody knows. Nothing is shown with `quiet` or off a terminal.
    """

    def __init__(self, quiet: bool = False, total: float = 0.0) -> None:
        super().__init__("rendering", total or None, quiet)
        self._done = 0.0
        self._start = time.monotonic()

    @property
    def speed(self) -> float:
        """Seconds of sound done for each second passed."""
        return self._done / max(time.monotonic() - self._start, 1e-9)

    def __call__(self, seconds: float) -> None:
        """Take note of `seconds` more of sound done."""
        self._done += seconds
        self._bar.update(self._task, advance=seconds, said=f"{self._done:.0f} s, {self.speed:.0f}x real time")
