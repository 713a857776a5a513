"""The jitter buffer: numbered items come in any order or not at all, and leave in order, some behind the newest.

The sender's pace is the only clock: an item leaves when one that is `held` numbers newer has come. So a sender that
stalls loses nothing, and the delay, counted in items, is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from gramophone.realtime.live.devices.osc.packet import NUMBERS

T = TypeVar("T")

_WIDEST_GAP = 16
"""So many missing items in a row are replaced one by one; beyond that the run is broken."""
_LATEST = 64
"""An item that is older than this is no late one: the sender counts anew."""


@dataclass
class Arrivals:
    """What came, and how. `concealed` were missing when they were due; those came `late`, or are `lost`.

    `duplicate` came twice, or from before the beginning.
    """

    received: int = 0
    lost: int = 0
    late: int = 0
    reordered: int = 0
    duplicate: int = 0
    concealed: int = 0


class JitterBuffer(Generic[T]):
    """One unbroken run of items, `held` of them held back; their numbers wrap around. Counts into `arrivals`."""

    def __init__(self, held: int, arrivals: Arrivals) -> None:
        self._held = held
        self._arrivals = arrivals
        self._waiting: dict[int, T] = {}
        self._missed: set[int] = set()
        self._next, self._newest = 0, -1
        self._begun = self._released = False

    def fits(self, number: int) -> bool:
        """Return whether `number` belongs to this run; if not, `flush` this one and begin another."""
        return not self._begun or -_LATEST <= self._unwrapped(number) - self._newest <= _WIDEST_GAP + 1

    def push(self, number: int, item: T) -> list[tuple[int, T | None]]:
        """Take in an item that fits; return those that are due, None for one that is missing."""
        self._arrivals.received += 1
        if not self._begun:
            self._begun, self._newest, self._next = True, number, number
        place = self._unwrapped(number)
        if not self._released and place >= self._newest - self._held:
            self._next = min(self._next, place)
        if place < self._next:
            self._count_late(place)
            return []
        if place in self._waiting:
            self._arrivals.duplicate += 1
            return []
        self._arrivals.reordered += place < self._newest
        self._waiting[place] = item
        self._newest = max(self._newest, place)
        return self._release(self._newest - self._held)

    def flush(self) -> list[tuple[int, T | None]]:
        """Return all that still waits."""
        return self._release(self._newest)

    def skipped(self, number: int) -> int:
        """Return how many items lie between the newest and `number`, which does not fit."""
        return max(self._unwrapped(number) - self._newest - 1, 0)

    def _unwrapped(self, number: int) -> int:
        """Return the place nearest to the newest that has this number."""
        return self._newest + (number - self._newest + NUMBERS // 2) % NUMBERS - NUMBERS // 2

    def _release(self, last: int) -> list[tuple[int, T | None]]:
        due = [(place % NUMBERS, self._taken(place)) for place in range(self._next, last + 1)]
        self._next = max(self._next, last + 1)
        self._released = self._released or bool(due)
        return due

    def _taken(self, place: int) -> T | None:
        item = self._waiting.pop(place, None)
        if item is None:
            self._arrivals.concealed += 1
            self._arrivals.lost += 1
            self._missed = {missed for missed in self._missed if missed >= place - _LATEST} | {place}
        return item

    def _count_late(self, place: int) -> None:
        """Count an item that was due before."""
        if place in self._missed:
            self._missed.remove(place)
            self._arrivals.lost -= 1
            self._arrivals.late += 1
        else:
            self._arrivals.duplicate += 1
