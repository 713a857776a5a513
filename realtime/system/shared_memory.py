"""Arrays that several processes see: named, of fixed shape, in one piece of shared memory.

On Linux a piece is a file in `/dev/shm`, which stays where every process that could remove it was killed. So its name
says who made it, by process id and start time, and every process that uses it holds a lock on it: `remove_orphans`
removes those whose maker is no more and that no living process uses. (Python's own tracker of such files would remove
them with the process that made them, whoever else uses them.)
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from math import prod
from mmap import mmap
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

Fields = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and shape of each array by name."""

_PREFIX = "gramophone.shared"
"""Not `gramophone`: version 0.1, if it is installed too, removes what begins so when its maker is no more."""
_FOLDER = Path("/dev/shm")
_FORMATS: Mapping[str, Literal["q", "d"]] = {"int64": "q", "float64": "d"}
_ALIGNMENT = 64
"""Arrays start on cache lines of their own, so that writers in two processes do not slow each other down."""


class SharedArrays:
    """The arrays of `fields`, zero at first. Handed to a spawned process, it is the same memory there."""

    def __init__(self, fields: Fields) -> None:
        self._fields = dict(fields)
        self._segment = _segment(_new_name(), create=True, size=sum(_size(*field) for field in fields.values()))
        self._owner = True

    @classmethod
    def attached(cls, name: str, fields: Fields) -> Self:
        """Return the memory that another process made under `name`."""
        memory = cls.__new__(cls)
        memory._fields = dict(fields)
        memory._segment = _segment(name)
        memory._owner = False
        return memory

    @classmethod
    def of_descriptor(cls, descriptor: int, fields: Fields) -> Self:
        """Return the memory of an open descriptor that another program has sent; this process has to keep it open."""
        return cls.attached(f"/proc/{os.getpid()}/fd/{descriptor}", fields)

    def array(self, name: str) -> NDArray[Any]:
        """Return the array called `name`; every call gives the same memory."""
        kind, shape = self._fields[name]
        return np.ndarray(shape, kind, self._segment.buf, self.offset(name))

    def numbers(self, name: str) -> memoryview[Any]:
        """Return the one-dimensional int64 or float64 array called `name` as a view.

        It gives Python numbers at a fifth of the time that NumPy takes for a scalar.
        """
        kind, shape = self._fields[name]
        start = self.offset(name)
        return memoryview(cast(bytearray, self._segment.buf))[start : start + prod(shape) * 8].cast(_FORMATS[kind])

    def offset(self, name: str) -> int:
        """Return where the array called `name` begins, in bytes."""
        start = 0
        for field, (kind, shape) in self._fields.items():
            if field == name:
                return start
            start += _size(kind, shape)
        raise KeyError(name)

    @property
    def size(self) -> int:
        """The size of all arrays in bytes."""
        return sum(_size(*field) for field in self._fields.values())

    def fileno(self) -> int:
        """Return the descriptor of the memory, for a process that is no child of ours."""
        return self._segment.fileno()

    def adopt(self) -> None:
        """Let `close` give the memory back, in place of the process that made it and has gone."""
        self._owner = True

    def close(self) -> None:
        """Give the memory back to the system once no process uses it any more."""
        if self._owner:
            self._owner = False
            self._segment.unlink()

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedArrays.attached, (self._segment.name, self._fields)


class SharedPart:
    """What lives in one piece of shared memory, `_memory`."""

    _memory: SharedArrays

    def adopt(self) -> None:
        """Let `close` give the memory back, in place of the process that made it."""
        self._memory.adopt()

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()


def remove_orphans() -> list[str]:
    """Remove the memory that processes of this program left behind when they were killed; return the names.

    Memory of a living process, also of one that uses it without having made it, of another program or another user, or
    made in another container is left alone.
    """
    removed = []
    for path in _FOLDER.glob(f"{_PREFIX}-*") if _own_mark() else ():
        parts = path.name.split("-")
        if len(parts) == 5 and parts[1] == _namespace() and parts[2].isdigit() and start_of(parts[2]) != parts[3]:
            with suppress(OSError):  # another user's, or gone meanwhile
                if not _is_used(path):
                    path.unlink()
                    removed.append(path.name)
    return removed


def _is_used(path: Path) -> bool:
    """Return whether a process holds a lock on a file."""
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _new_name() -> str | None:
    """Return a name that says which process makes the memory; None, where systems keep no list: any."""
    return f"{mark}-{secrets.token_hex(4)}" if (mark := _own_mark()) else None


def _own_mark() -> str | None:
    """Return what the names of this process's memory begin with; None where that cannot be known (not on Linux)."""
    start = start_of("self")
    return f"{_PREFIX}-{_namespace()}-{os.getpid()}-{start}" if start and _namespace() and _FOLDER.is_dir() else None


@cache
def _namespace() -> str:
    """Return the number of the set of processes that this one sees; empty where there is no such thing."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    return ""


def start_of(pid: str | int) -> str | None:
    """Return when a process started, in ticks since the system did; None if it has ended (see proc(5), `stat`)."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else fields[18]


class _AnySegment(SharedMemory):
    """A piece of memory on systems that keep no list of them."""

    def fileno(self) -> int:
        return int(self._fd)  # type: ignore[attr-defined] # which Python keeps open and does not show

    def __del__(self) -> None:
        with suppress(BufferError):  # arrays that live longer keep their memory
            super().__del__()


class _LinuxSegment:
    """A piece of memory as a file in `/dev/shm`, or at a path, with a lock for as long as this process uses it."""

    def __init__(self, name: str, create: bool = False, size: int = 0) -> None:
        import fcntl

        self.name, self._path = name, _FOLDER / name
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL) * create
        self._fd = os.open(self._path, flags, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_SH)
        if create:
            self._reserve(size)
        self.buf = mmap(self._fd, 0)  # which arrays keep as long as they need it

    def _reserve(self, size: int) -> None:
        """Take the memory now: where none is left, a process that writes there later is killed."""
        try:
            os.posix_fallocate(self._fd, 0, size)
        except OSError as error:
            self.unlink()
            raise OSError(error.errno, f"{error.strerror}: {size} bytes of shared memory", str(_FOLDER)) from None

    def fileno(self) -> int:
        return self._fd

    def unlink(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)


def _segment(name: str | None, create: bool = False, size: int = 0) -> _AnySegment | _LinuxSegment:
    if name and sys.platform == "linux" and name.startswith((f"{_PREFIX}-", "/proc/")):
        return _LinuxSegment(name, create, size)
    return _AnySegment(name, create, size)


def _size(kind: str, shape: tuple[int, ...]) -> int:
    return -(-prod(shape) * np.dtype(kind).itemsize // _ALIGNMENT) * _ALIGNMENT
