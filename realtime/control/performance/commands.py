"""OSC methods of a performance: commands with arguments of fixed types, whose work is done elsewhere; and its bins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gramophone.presets.bin import LONGEST_DAYS, MOST_BYTES, Bin
from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.method import OscMethod, Ranges
from gramophone.realtime.control.osc.parameter_methods import ReadOnlyMethod
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message

NO_SHARE = -1.0
_READERS: dict[str, Callable[[Message], Any]] = {
    "s": arguments.text,
    "f": arguments.number,
    "T": arguments.switch,
}


class CommandMethod(OscMethod):
    """Calls `run` with its arguments, of the `types` s, f and T; the last ones may be left out where `run` allows it.

    `run` must not wait; what it raises as `ValueError` is why it was refused. `choices` returns what the first argument
    may be, where it is one of several.
    """

    readable = False

    def __init__(
        self,
        path: str,
        types: str,
        description: str,
        run: Callable[..., None],
        least: int | None = None,
        choices: Callable[[], list[str]] | None = None,
    ) -> None:
        super().__init__(path, path, description)
        self.types, self._run, self._choices = types, run, choices
        self._least = len(types) if least is None else least

    @property
    def ranges(self) -> Ranges:
        """The choices of the first argument."""
        return ({"VALS": self._choices()}, *[None] * (len(self.types) - 1)) if self._choices else ()

    def check(self, message: Message) -> tuple[Any, ...]:
        """Return the arguments."""
        address, types, values = message
        if not self._least <= len(types) <= len(self.types):
            raise arguments.mistyped(message, f"arguments of the types {self.types!r}")
        return tuple(
            _READERS[kind](Message(address, types[place : place + 1], values[place : place + 1]))
            for place, kind in enumerate(self.types[: len(types)])
        )

    def write(self, checked: tuple[Any, ...]) -> None:
        """Do it."""
        try:
            self._run(*checked)
        except RefusedError:
            raise
        except ValueError as error:
            raise RefusedError("refused value", f"{self.path}: {error}") from None


class TextMethod(OscMethod):
    """One of several texts, `choices`, which `now` returns and `choose` sets; neither waits."""

    types = "s"

    def __init__(
        self,
        path: str,
        description: str,
        now: Callable[[], str],
        choose: Callable[[str], None],
        choices: Callable[[], list[str]],
    ) -> None:
        super().__init__(path, path, description)
        self._now, self._choose, self._choices = now, choose, choices

    @property
    def ranges(self) -> Ranges:
        """The choices."""
        return ({"VALS": self._choices()},)

    def check(self, message: Message) -> str:
        """Return the choice."""
        chosen = arguments.text(message)
        if chosen not in self._choices():
            expected = ", ".join(self._choices())
            raise RefusedError("refused value", f"{message.address}: {chosen[:80]!r}: expected one of {expected}")
        return chosen

    def write(self, checked: str) -> None:
        """Choose it."""
        self._choose(checked)

    def read(self) -> tuple[str, ...]:
        """Return what is chosen."""
        return (self._now(),)


class ProgressMethod(ReadOnlyMethod):
    """What is done with things of a kind now, in words, and how much of it: 0 to 1, -1 where that is not known."""

    def __init__(self, path: str, things: str, space: AddressSpace) -> None:
        super().__init__(
            path, "sf", f"what is done with {things} now, and how much of it", lambda: (self.status, self.share)
        )
        self.status, self.share, self._space = "", NO_SHARE, space

    def show(self, status: str, share: float = NO_SHARE) -> None:
        """Show what is done."""
        self.status, self.share = status, share
        self._space.changed()

    def end(self, status: str) -> None:
        """Show how something has ended, after which there may be other things than before, and publish it as news."""
        self._space.choices_changed()
        self.show(status, 1.0)
        self._space.notices.publish(status)


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
