"""An event between processes: one sets it, another that waits goes on. Set more than once, it is still one event.

Linux has eventfd, which takes a microsecond and cannot overflow; elsewhere a semaphore does the same.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from typing import Any, Protocol


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


_TAKEN_AT_ONCE = 4096
"""Bytes, one for each time that it was set; what is beyond is one event more, for nothing."""


class SocketWake:
    """The event for peers that do not trust each other: a pair of sockets, whose sender need not wait.

    A stream: a message to it takes less time than a datagram (13.5 against 21.3 us, alone in a loop).
    """

    def __init__(self, ends: tuple[int, int] | None = None) -> None:
        if ends is None:
            pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            pair = tuple(socket.socket(fileno=end) for end in ends)  # type: ignore[assignment]
        self._near, self._far = pair

    def set(self) -> None:
        """Let the one that waits go on; where many messages wait already, one more changes nothing."""
        with suppress(BlockingIOError):
            self._far.send(b"r", socket.MSG_DONTWAIT)

    def wait(self) -> None:
        """Wait until it is set, and take all that has come."""
        self._near.recv(_TAKEN_AT_ONCE)

    def fileno(self) -> int:
        """Return the descriptor to send to, for a process that is no child of ours."""
        return self._far.fileno()

    def close(self) -> None:
        """Give the sockets back."""
        self._near.close()
        self._far.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _received_pair, (DupFd(self._near.fileno()), DupFd(self._far.fileno()))


def _received_pair(near: Any, far: Any) -> SocketWake:
    return SocketWake((near.detach(), far.detach()))


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
