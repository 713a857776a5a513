"""The board: the newest value of every knob in shared memory. However fast knobs are turned, nothing queues.

Knobs have places in the order of the chain. Another preset has other knobs: it gets the next generation of places, so
that what is meant for the coming chain never turns a knob of the one that still plays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.live.memory import Memory

_BANKS = 8
"""Generations whose places are kept; one that is older has been overtaken and is heard no more."""


class Board:
    """Values of `size` knobs for each of the last generations; one process writes, another reads changes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bind(
            Memory(
                {
                    "generations": ("int64", (_BANKS,)),
                    "versions": ("int64", (_BANKS,)),
                    "values": ("float64", (_BANKS, size)),
                }
            )
        )
        self._generations[:] = -1

    def lay_out(self, generation: int, values: Sequence[float]) -> None:
        """Give the knobs of a new chain their places and first values.

        Raises:
            ValueError: there are more knobs than places.
        """
        if len(values) > self.size:
            raise ValueError(f"{len(values)} knobs: expected at most {self.size}")
        bank = generation % _BANKS
        self._generations[bank] = -1
        self._values[bank, : len(values)] = values
        self._versions[bank] += 1
        self._generations[bank] = generation

    def set(self, generation: int, place: int, value: float) -> None:
        """Turn the knob at `place`; nothing happens if its generation is gone."""
        bank = generation % _BANKS
        if self._generations[bank] == generation:
            self._values[bank, place] = value
            self._versions[bank] += 1

    def get(self, generation: int, place: int) -> float:
        """Return the newest value of the knob at `place`."""
        return float(self._values[generation % _BANKS, place])

    def reader(self, generation: int, values: Sequence[float]) -> BoardReader:
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
        self._generations, self._versions, self._values = (
            memory.array(name) for name in ("generations", "versions", "values")
        )

    def _peek(self, generation: int, seen: int, known: int) -> tuple[int, NDArray[np.float64]] | None:
        """Return version and values if they are newer than `seen`."""
        bank = generation % _BANKS
        version = int(self._versions[bank])
        if version == seen or self._generations[bank] != generation:
            return None
        return version, self._values[bank, :known].copy()


class BoardReader:
    """One generation of knobs as its reader knows them."""

    def __init__(self, board: Board, generation: int, values: Sequence[float]) -> None:
        self._board, self._generation = board, generation
        self._known = np.array(values, np.float64)
        self._seen = -1

    def changes(self) -> list[tuple[int, float]]:
        """Return place and newest value of every knob that has been turned since the last call."""
        # The version is read before the values: what is written in between is found again by the next call.
        news = self._board._peek(self._generation, self._seen, self._known.size)
        if news is None:
            return []
        self._seen, values = news
        turned = np.flatnonzero(values != self._known)
        self._known = values
        return [(int(place), float(values[place])) for place in turned]
