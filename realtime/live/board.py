"""The board: the newest value of every knob in shared memory. However fast knobs are turned, nothing queues.

Knobs have places in the order of the chain. Another preset has other knobs: it gets the next generation of places, so
that what is meant for the coming chain never turns a knob of the one that still plays.

Values that are set together are read together. Each change is a whole new edition of the values, written beside the
last ones and sealed by a checksum of what it is and holds: a reader that meets an edition half written, or whose parts
reached it in another order than they were written in (which some processors allow), finds that the seal does not fit
and keeps to what it knows until it looks again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.live.memory import Memory

Changes = list[tuple[int, float]]
"""Place and newest value of every knob that has been turned."""

_BANKS = 8
"""Generations whose places are kept; one that is older has been overtaken and is heard no more."""
_EDITIONS = 4
"""Editions kept of each: the newest can be read while the writer, or one that was held up, is at the next."""
_LOOKS = 8
"""How often a reader looks for a whole edition before it goes on with what it knows."""


class Board:
    """Values of `size` knobs for each of the last generations; one thread at a time writes, others read changes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bind(
            Memory(
                {
                    "generations": ("int64", (_BANKS,)),
                    "counts": ("int64", (_BANKS,)),
                    "newest": ("int64", (_BANKS,)),
                    "seals": ("int64", (_BANKS, _EDITIONS)),
                    "values": ("float64", (_BANKS, _EDITIONS, size)),
                }
            )
        )
        self._generations[:] = -1

    def lay_out(self, generation: int, values: Sequence[float] | NDArray[np.float64]) -> None:
        """Give the knobs of a new chain their places and first values.

        Raises:
            ValueError: there are more knobs than places.
        """
        if len(values) > self.size:
            raise ValueError(f"{len(values)} knobs: expected at most {self.size}")
        bank = generation % _BANKS
        self._generations[bank] = -1
        self._counts[bank] = len(values)
        self._publish(bank, generation, np.array(values, np.float64))
        self._generations[bank] = generation

    def set(self, generation: int, changes: Mapping[int, float]) -> None:
        """Turn the knobs at these places, all at once; nothing happens if their generation is gone."""
        bank = generation % _BANKS
        if self._generations[bank] == generation:
            values = self._newest_of(bank).copy()
            values[list(changes)] = list(changes.values())
            self._publish(bank, generation, values)

    def get(self, generation: int, place: int) -> float:
        """Return the newest value of the knob at `place`."""
        return float(self._newest_of(generation % _BANKS)[place])

    def reader(self, generation: int, values: Sequence[float] | NDArray[np.float64]) -> BoardReader:
        """Return what tells of changes from `values` on."""
        return BoardReader(self, generation, values)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()

    def __getstate__(self) -> tuple[int, Memory]:
        return self.size, self._memory

    def __setstate__(self, state: tuple[int, Memory]) -> None:
        self.size, memory = state
        self._bind(memory)

    def _bind(self, memory: Memory) -> None:
        self._memory = memory
        self._generations, self._counts, self._newest, self._seals, self._values = (
            memory.array(name) for name in ("generations", "counts", "newest", "seals", "values")
        )

    def _newest_of(self, bank: int) -> NDArray[np.float64]:
        return self._values[bank, self._newest[bank] % _EDITIONS, : self._counts[bank]]

    def _publish(self, bank: int, generation: int, values: NDArray[np.float64]) -> None:
        edition = int(self._newest[bank]) + 1
        slot = edition % _EDITIONS
        self._values[bank, slot, : len(values)] = values
        self._seals[bank, slot] = _seal(generation, edition, values)
        self._newest[bank] = edition

    def _read(self, generation: int, seen: int) -> tuple[int, NDArray[np.float64]] | None:
        """Return the newest edition and its values; None if it is `seen`, not whole yet, or the generation is gone."""
        bank = generation % _BANKS
        for _ in range(_LOOKS):
            edition = int(self._newest[bank])
            if edition == seen or self._generations[bank] != generation:
                return None
            slot = edition % _EDITIONS
            values = self._values[bank, slot, : self._counts[bank]].copy()
            if self._seals[bank, slot] == _seal(generation, edition, values):
                return edition, values
        return None


class BoardReader:
    """One generation of knobs as its reader knows them: `known`."""

    def __init__(self, board: Board, generation: int, values: Sequence[float] | NDArray[np.float64]) -> None:
        self._board, self._generation = board, generation
        self.known = np.array(values, np.float64)
        self._seen = -1

    def changes(self, ready: Callable[[Changes], bool] = lambda _changes: True) -> Changes:
        """Return place and newest value of every knob that has been turned since the last call.

        What was set at once is told at once. `ready` may put all of it off to the next call.
        """
        news = self._board._read(self._generation, self._seen)
        if news is None:
            return []
        edition, values = news
        changes = [(int(place), float(values[place])) for place in np.flatnonzero(values != self.known)]
        if not ready(changes):
            return []
        self._seen, self.known = edition, values
        return changes


def _seal(generation: int, edition: int, values: NDArray[np.float64]) -> int:
    return zlib.crc32(values.tobytes(), zlib.crc32(b"%d %d" % (generation, edition)))
