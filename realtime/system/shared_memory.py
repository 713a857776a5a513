"""Arrays that several processes see: named, of fixed shape, in one piece of shared memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import prod
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Fields = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and shape of each array by name."""

_ALIGNMENT = 64
"""Arrays start on cache lines of their own, so that writers in two processes do not slow each other down."""


class SharedArrays:
    """The arrays of `fields`, zero at first. Handed to a spawned process, it is the same memory there."""

    def __init__(self, fields: Fields) -> None:
        self._fields = dict(fields)
        self._segment = _Segment(create=True, size=sum(_size(*field) for field in fields.values()))
        self._owner = True

    @classmethod
    def attached(cls, name: str, fields: Fields) -> Self:
        """Return the memory that another process made under `name`."""
        memory = cls.__new__(cls)
        memory._fields = dict(fields)
        memory._segment = _Segment(name)
        memory._owner = False
        return memory

    def array(self, name: str) -> NDArray[Any]:
        """Return the array called `name`; every call gives the same memory."""
        start = 0
        for field, (kind, shape) in self._fields.items():
            if field == name:
                return np.ndarray(shape, kind, self._segment.buf, start)
            start += _size(kind, shape)
        raise KeyError(name)

    def close(self) -> None:
        """Give the memory back to the system once no process uses it any more."""
        if self._owner:
            self._owner = False
            self._segment.unlink()

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedArrays.attached, (self._segment.name, self._fields)


class _Segment(SharedMemory):
    def __del__(self) -> None:
        with suppress(BufferError):  # arrays that live longer keep their memory
            super().__del__()


def _size(kind: str, shape: tuple[int, ...]) -> int:
    return -(-prod(shape) * np.dtype(kind).itemsize // _ALIGNMENT) * _ALIGNMENT
