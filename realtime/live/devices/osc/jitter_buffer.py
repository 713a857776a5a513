"""The jitter buffer: numbered items come in any order or not at all, and leave in order, some behind the newest.

The sender's pace is the only clock: an item leaves when one that is `held` numbers newer has come. So a sender that
stalls loses nothing, and the delay, counted in items, is always the same.

Concealment: sound in place of a block that never came, without a click.

The last sound runs back and forth, so that it goes on where it ended, and dies away; what comes after it fades in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from gramophone.realtime.dsp.smoothing import crossfade
from gramophone.realtime.live.devices.osc.packet import NUMBERS
from gramophone.realtime.stage import Audio


class Concealer:
    """Blocks `(channels, frames)` in, the same out; after a gap the first one fades in. `fade`: samples to silence."""

    def __init__(self, channels: int, fade: int) -> None:
        self._last = np.zeros((channels, 1), np.float32)
        self._fade = fade
        self._gone = 0
        self._broken = False

    def take(self, block: Audio) -> Audio:
        """Return the sound for a block that has come: itself, or after a gap the way back to it."""
        if self._broken:
            rising = np.linspace(0, 1, block.shape[1], endpoint=False, dtype=np.float32)
            block = crossfade(self._carry_on(block.shape[1]), block, rising)
        self._last, self._gone, self._broken = block, 0, False
        return block

    def conceal(self, frames: int) -> Audio:
        """Return the sound instead of a block of so many `frames`."""
        self._broken = True
        return self._carry_on(frames)

    def interrupt(self) -> None:
        """Let the next block fade in: it does not follow on the last one."""
        self._broken = True

    def _carry_on(self, frames: int) -> Audio:
        """Return the last sound from its end to its beginning, to its end, and so on, ever softer."""
        size = self._last.shape[1]
        count = self._gone + np.arange(frames)
        self._gone += frames
        phase = count % (2 * size)
        place = np.where(phase < size, size - 1 - phase, phase - size)
        gain = np.clip(1 - (count + 1) / self._fade, 0, None).astype(np.float32)
        return self._last[:, place] * gain


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
