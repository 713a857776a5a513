"""An event between processes: one sets it, another that waits goes on. Set more than once, it is still one event.

Linux has eventfd, which takes a microsecond and cannot overflow; elsewhere a semaphore does the same.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from random import getrandbits
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a process that waits for NumPy to load starts its worker later
    from gramophone.realtime.system.shared_memory import SharedArrays


class Wake(Protocol):
    """An event that can be passed to a process while that is spawned."""

    def set(self) -> None:
        """Let the one that waits go on; never blocks."""

    def wait(self) -> None:
        """Wait until it is set, or return at once if it was since the last wait."""

    def fileno(self) -> int:
        """Return the descriptor of the end that sets it, for a process that is no child of ours.

        Raises:
            OSError: this system's events have none.
        """

    def close(self) -> None:
        """Free the event."""


class SemaphoreWake:
    """The event of every system, a semaphore."""

    def __init__(self) -> None:
        self._semaphore = get_context("spawn").Semaphore(0)

    def set(self) -> None:
        """Let the one that waits go on."""
        self._semaphore.release()

    def wait(self) -> None:
        """Wait until it is set, and take every further setting with it."""
        self._semaphore.acquire()
        while self._semaphore.acquire(block=False):
            pass

    def fileno(self) -> int:
        """Raise OSError: a semaphore has none."""
        raise OSError("a semaphore has no descriptor")

    def close(self) -> None:
        """Do nothing: the system takes the semaphore back with its last user."""


class MemoryWake:
    """The event for peers that do not trust each other, in `memory` that they share: arrays `woken` and `sleeps`.

    Who sets it changes `woken`; a system call (futex) is needed only where `sleeps` is set, and never waits for the
    peer. Linux only.
    """

    def __init__(self, memory: SharedArrays) -> None:
        self._memory = memory
        self._woken, self._sleeps = memory.array("woken"), memory.array("sleeps")
        self._address = self._woken.ctypes.data
        self._seen = int(self._woken[0]) ^ 1  # the first to wait looks for itself

    def set(self) -> None:
        """Let the one that waits go on."""
        self._woken[0] = getrandbits(32)  # a number to be surely another, whatever the peer adds at the same time
        _futex(self._address, _FUTEX_WAKE, _MOST_WAITERS)

    def wait(self) -> None:
        """Wait until it is set, or return at once if it was since the last wait."""
        while (woken := int(self._woken[0])) == self._seen:
            self._sleeps[0] = 1  # the system compares `woken` once more before it lets this thread sleep
            _futex(self._address, _FUTEX_WAIT, woken)
        self._sleeps[0] = 0
        self._seen = int(self._woken[0])

    def fileno(self) -> int:
        """Raise OSError: it is memory."""
        raise OSError("an event in memory has no descriptor of its own")

    def close(self) -> None:
        """Do nothing: the memory is another's."""

    def __reduce__(self) -> tuple[Any, ...]:
        return MemoryWake, (self._memory,)


_FUTEX_WAIT, _FUTEX_WAKE, _MOST_WAITERS = 0, 1, 1 << 30
_FUTEX_CALLS = {"x86_64": 202}
"""The number of the system call by machine; that of all newer ones is 98."""


@cache
def _system_call() -> Any:
    call = ctypes.CDLL(None).syscall
    pointer = ctypes.c_void_p
    call.argtypes = (ctypes.c_long, pointer, ctypes.c_int, ctypes.c_uint32, pointer, pointer, ctypes.c_uint32)
    return call


def _futex(address: int, operation: int, value: int) -> None:
    """Wait while the number at an address is `value`, or wake so many that wait there; see futex(2)."""
    _system_call()(_FUTEX_CALLS.get(platform.machine(), 98), address, operation, value, None, None, 0)


if sys.platform == "linux":

    class EventWake:
        """The event of Linux, an eventfd."""

        def __init__(self, descriptor: int | None = None) -> None:
            self._descriptor = os.eventfd(0, os.EFD_CLOEXEC) if descriptor is None else descriptor

        def set(self) -> None:
            """Let the one that waits go on."""
            os.eventfd_write(self._descriptor, 1)

        def wait(self) -> None:
            """Wait until it is set."""
            with suppress(InterruptedError):  # a signal that is received here: as good as an event
                os.eventfd_read(self._descriptor)

        def fileno(self) -> int:
            """Return the descriptor, for a process that is no child of ours."""
            return self._descriptor

        def close(self) -> None:
            """Close the descriptor."""
            os.close(self._descriptor)

        def __reduce__(self) -> tuple[Any, ...]:
            return _received, (DupFd(self._descriptor),)

    def _received(descriptor: Any) -> EventWake:
        return EventWake(descriptor.detach())


def received_wake(descriptor: int) -> Wake:
    """Return the event, made by `make_wake` in another process, whose descriptor has come from there (Linux)."""
    return EventWake(descriptor)


def make_wake() -> Wake:
    """Return the quickest event that this system has."""
    return EventWake() if sys.platform == "linux" else SemaphoreWake()
