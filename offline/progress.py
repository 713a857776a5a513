"""Progress bars on the terminal: of sound that is rendered, and of a search or descent."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress


class Bar:
    """A bar with one column of text while the `with` block runs; none if `quiet` or off a terminal.

    `total` is the work in the caller's unit; None if unknown.
    """

    def __init__(self, title: str, total: float | None, quiet: bool) -> None:
        console = Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=total, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class RenderProgress(Bar):
    """Shows sound done and speed on the terminal while the `with` block runs; call it with seconds of sound done.

    `total` is the sound to come in seconds, 0 if unknown. Nothing is shown with `quiet` or off a terminal.
    """

    def __init__(self, quiet: bool = False, total: float = 0.0) -> None:
        super().__init__("rendering", total or None, quiet)
        self._done = 0.0
        self._start = time.monotonic()

    @property
    def speed(self) -> float:
        """Seconds of sound done for each second passed."""
        return self._done / max(time.monotonic() - self._start, 1e-9)

    @property
    def summary(self) -> str:
        """What has been done, and how quickly, in words."""
        took = time.monotonic() - self._start
        return f"{self._done:.0f} s of sound in {took:.1f} s, {self.speed:.1f} times real time"

    def __call__(self, seconds: float) -> None:
        """Add `seconds` of sound done."""
        self._done += seconds
        self._bar.update(self._task, advance=seconds, note=f"{self._done:.0f} s, {self.speed:.0f}x real time")


class LossProgress(Bar):
    """Shows the share of the budget spent, and the first and the best loss, while the `with` block runs.

    Nothing is shown with `quiet` or off a terminal.
    """

    def __init__(self, title: str, unit: str = "", quiet: bool = False) -> None:
        super().__init__(title, 1.0, quiet)
        self._unit = unit
        self._first: float | None = None

    def __call__(self, share: float, loss: float) -> None:
        """Show that `share` (0 to 1) of the budget is spent and `loss` is the best so far."""
        self._first = loss if self._first is None else self._first
        self._bar.update(self._task, completed=share, note=f"{self._first:.3g} > {loss:.3g} {self._unit}")


class StepProgress(Bar):
    """Shows the share that is done and what is being done while the `with` block runs.

    Nothing is shown with `quiet` or off a terminal.
    """

    def __init__(self, title: str, quiet: bool = False) -> None:
        super().__init__(title, 1.0, quiet)

    def __call__(self, share: float, step: str) -> None:
        """Show that `share` (0 to 1) is done and `step` is next."""
        self._bar.update(self._task, completed=share, note=step)
