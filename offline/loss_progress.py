"""The progress bar of a search or descent: how much of its budget is spent, and how far down it has come."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress


class LossProgress:
    """Shows the share done and the best loss on the terminal while the `with` block runs.

    Nothing is shown with `quiet` or off a terminal.
    """

    def __init__(self, title: str, unit: str = "", quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._unit = unit
        self._first: float | None = None
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=1.0, loss="")

    def __call__(self, share: float, loss: float) -> None:
        """Show that `share` (0 to 1) of the budget is spent and `loss` is the best so far."""
        self._first = loss if self._first is None else self._first
        self._bar.update(self._task, completed=share, loss=f"{self._first:.3g} > {loss:.3g} {self._unit}")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
