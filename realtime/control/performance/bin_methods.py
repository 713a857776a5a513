"""A bin over OSC: what is in it and for how long, kept within its limits, and emptied on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gramophone.presets.bin import LONGEST_DAYS, MOST_BYTES, Bin
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.control.osc.parameter_methods import ReadOnlyMethod
from gramophone.realtime.control.performance.commands import CommandMethod


class WatchedBin:
    """Keeps the bin that `find` returns within its limits; `spawn` runs that, `changed` is called when it is done.

    Any thread may call, and no call waits.
    """

    def __init__(
        self, find: Callable[[], Bin], spawn: Callable[[Callable[[], None]], object], changed: Callable[[], None]
    ) -> None:
        self._find, self._spawn, self._changed = find, spawn, changed
        self.words = ""
        """What is in it, for people; empty while it holds nothing."""

    def tidy(self) -> None:
        """Delete what has been there too long, or is too much."""
        self._spawn(lambda: self._after(self._find().tidy))

    def empty(self) -> None:
        """Delete everything in it."""
        self._spawn(lambda: self._after(self._find().empty))

    def methods(self, root: str) -> Iterator[OscMethod]:
        """Yield the OSC methods `bin` and `empty-bin` below `root`."""
        yield ReadOnlyMethod(f"{root}/bin", "s", "what is in the bin, and until when", lambda: (self.words,))
        yield CommandMethod(f"{root}/empty-bin", "", "delete what is in the bin for good", self.empty)

    def _after(self, work: Callable[[], None]) -> None:
        work()
        count, size = self._find().contents()
        kept = f"each for {LONGEST_DAYS} days, the oldest for less beyond {MOST_BYTES >> 30} GB"
        self.words = f"{count} in the bin ({size / 1e6:.1f} MB), {kept}" if count else ""
        self._changed()
