"""The parameter memory: the newest value of every parameter in shared memory. However fast values come, nothing queues.

Parameters have places in the order of the chain. Another preset has other parameters: it gets the next generation of
places, so that a value for the coming chain never sets a parameter of the one that still plays. Switches, which are the
same whatever chain plays, have places from the end, -1, -2, and so on, and the same values in every generation: so they
take effect at once whichever chain plays, and yet together with its parameters.

Values that are set together are read together. Each change is a whole new edition of the values, written beside the
last ones and sealed by a checksum of its number and content (a seqlock's part): a reader that meets an edition half
written, or whose parts reached it in another order than they were written in (which some processors allow), finds that
the checksum does not fit, and keeps the values that it has until it reads again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.system.shared_memory import SharedArrays, SharedPart

Changes = list[tuple[int, float]]
"""Place and newest value of every parameter that has changed."""

_BANKS = 8
"""Generations that are kept; an older one plays no more."""
_EDITIONS = 4
"""Editions kept of each: the newest can be read while a writer that was interrupted is at the next."""
_READS = 8
"""How often a reader looks for a whole edition before it goes on with the values that it has."""


class ParameterMemory(SharedPart):
    """Values of at most `size` parameters for each of the last generations, and of `switches` common to all of them.

    One thread at a time writes, others read changes. Values are float64 numbers of any range.
    """

    def __init__(self, size: int, switches: int = 0) -> None:
        self.size = size
        self._bind(
            SharedArrays(
                {
                    "generations": ("int64", (_BANKS,)),
                    "counts": ("int64", (_BANKS,)),
                    "newest": ("int64", (_BANKS,)),
                    "seals": ("int64", (_BANKS, _EDITIONS)),
                    "switches": ("float64", (switches,)),
                    "values": ("float64", (_BANKS, _EDITIONS, size + switches)),
                }
            )
        )
        self._generations[:] = -1

    def add(self, generation: int, values: Sequence[float] | NDArray[np.float64]) -> None:
        """Give the parameters of a new chain their places, with first `values`, a number for each.

        Raises:
            ValueError: there are more parameters than places.
        """
        if len(values) > self.size:
            raise ValueError(f"{len(values)} parameters: expected at most {self.size}")
        bank = generation % _BANKS
        self._generations[bank] = -1
        self._counts[bank] = len(values) + len(self._switches)
        self._publish(bank, generation, np.concatenate((values, self._switches)))
        self._generations[bank] = generation

    def set(self, generation: int, changes: Mapping[int, float]) -> None:
        """Set the values at these places, all at once; of a generation that is not kept any more, only the switches."""
        switched = {place: value for place, value in changes.items() if place < 0}
        self._change(generation, changes)
        if switched:
            self._switches[list(switched)] = list(switched.values())
            for other in self._generations[self._generations != generation].tolist():
                self._change(other, switched)

    def values(self, generation: int) -> NDArray[np.float64]:
        """Return the newest values of the parameters of a generation that is kept. For the thread that writes."""
        return self._newest_of(generation % _BANKS)[: -len(self._switches) or None].copy()

    def switch(self, place: int) -> float:
        """Return the value of the switch at `place`, a negative number."""
        return float(self._switches[place])

    def reader(self, generation: int, values: Sequence[float] | NDArray[np.float64]) -> ParameterMemoryReader:
        """Return a reader of one generation that knows `values`, those of the switches after those of parameters."""
        return ParameterMemoryReader(self, generation, values)

    def __getstate__(self) -> tuple[int, SharedArrays]:
        return self.size, self._memory

    def __setstate__(self, state: tuple[int, SharedArrays]) -> None:
        self.size, memory = state
        self._bind(memory)

    def _bind(self, memory: SharedArrays) -> None:
        self._memory = memory
        self._generations, self._counts, self._newest, self._seals, self._switches, self._values = (
            memory.array(name) for name in ("generations", "counts", "newest", "seals", "switches", "values")
        )
        self._editions: memoryview[int] = memory.numbers("newest")
        """The numbers of the newest editions, as Python numbers: every block looks at one of them."""

    def _change(self, generation: int, changes: Mapping[int, float]) -> None:
        bank = generation % _BANKS
        if generation >= 0 and self._generations[bank] == generation:
            values = self._newest_of(bank).copy()
            values[list(changes)] = list(changes.values())
            self._publish(bank, generation, values)

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
        for _ in range(_READS):
            edition = self._editions[bank]
            if edition == seen or self._generations[bank] != generation:
                return None
            slot = edition % _EDITIONS
            values = self._values[bank, slot, : self._counts[bank]].copy()
            if self._seals[bank, slot] == _seal(generation, edition, values):
                return edition, values
        return None


class ParameterMemoryReader:
    """One generation of parameters, and the switches, as its reader has seen them last: `known`."""

    def __init__(self, memory: ParameterMemory, generation: int, values: Sequence[float] | NDArray[np.float64]) -> None:
        self._memory, self._generation = memory, generation
        self.known = np.array(values, np.float64)
        self._seen = -1

    def changes(self, ready: Callable[[Changes], bool] = lambda _changes: True) -> Changes:
        """Return place and newest value of every parameter, then every switch, that has changed since the last call.

        What was set at once is returned at once. `ready` may put all of it off to the next call by returning False.
        """
        read = self._memory._read(self._generation, self._seen)
        if read is None:
            return []
        edition, values = read
        parameters = len(values) - len(self._memory._switches)
        changed = [int(index) for index in np.flatnonzero(values != self.known)]
        changes = [(k if k < parameters else k - len(values), float(values[k])) for k in changed]
        if not ready(changes):
            return []
        self._seen, self.known = edition, values
        return changes


def _seal(generation: int, edition: int, values: NDArray[np.float64]) -> int:
    return zlib.crc32(values.tobytes(), zlib.crc32(b"%d %d" % (generation, edition)))
