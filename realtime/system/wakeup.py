"""The bell between processes: one rings, another that waits goes on. Rings while nobody waits are kept as one.

Linux has eventfd, which takes a microsecond and cannot overflow; elsewhere a semaphore does the same.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from typing import Any, Protocol


class Wake(Protocol):
    """A bell that can be handed to a process while that is spawned."""

    def ring(self) -> None:
        """Let the one that waits go on; never blocks."""

    def wait(self) -> None:
        """Wait for a ring, or return at once if there was one since the last wait."""

    def close(self) -> None:
        """Give the bell back."""


class SemaphoreWake:
    """The bell of every system."""

    def __init__(self) -> None:
        self._semaphore = get_context("spawn").Semaphore(0)

    def ring(self) -> None:
        """Let the one that waits go on."""
        self._semaphore.release()

    def wait(self) -> None:
        """Wait for a ring and take those that came with it."""
        self._semaphore.acquire()
        while self._semaphore.acquire(block=False):
            pass

    def close(self) -> None:
        """Do nothing: the system takes the semaphore back with its last user."""


if sys.platform == "linux":

    class EventWake:
        """The bell of Linux."""

        def __init__(self, descriptor: int | None = None) -> None:
            self._descriptor = os.eventfd(0, os.EFD_CLOEXEC) if descriptor is None else descriptor

        def ring(self) -> None:
            """Let the one that waits go on."""
            os.eventfd_write(self._descriptor, 1)

        def wait(self) -> None:
            """Wait for a ring."""
            os.eventfd_read(self._descriptor)

        def close(self) -> None:
            """Give the descriptor back."""
            os.close(self._descriptor)

        def __reduce__(self) -> tuple[Any, ...]:
            return _received, (DupFd(self._descriptor),)

    def _received(descriptor: Any) -> EventWake:
        return EventWake(descriptor.detach())


def make_wake() -> Wake:
    """Return the quickest bell that this system has."""
    return EventWake() if sys.platform == "linux" else SemaphoreWake()
