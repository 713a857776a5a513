"""The progress bar of a search or descent: how much of its budget is spent, and how far down it has come."""

from __future__ import annotations

from gramophone.offline.progress import Bar


class LossProgress(Bar):
    """Shows the share done and the best loss on the terminal while the `with` block runs.

    Nothing is shown with `quiet` or off a terminal.
    """

    def __init__(self, title: str, unit: str = "", quiet: bool = False) -> None:
        super().__init__(title, 1.0, quiet)
        self._unit = unit
        self._first: float | None = None

    def __call__(self, share: float, loss: float) -> None:
        """Show that `share` (0 to 1) of the budget is spent and `loss` is the best so far."""
        self._first = loss if self._first is None else self._first
        self._bar.update(self._task, completed=share, said=f"{self._first:.3g} > {loss:.3g} {self._unit}")
