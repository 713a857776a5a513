"""A process and the pipe to it. Sending never waits, even if the process hangs or is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Literal

_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Stop:
    """To any process: end."""


class ProcessHandle(ABC):
    """A process that is controlled over `connection`."""

    def __init__(self, name: str, connection: Connection) -> None:
        self.connection = connection
        self._outgoing: SimpleQueue[object] = SimpleQueue()
        threading.Thread(target=_send_all, args=(self._outgoing, connection), name=f"to {name}", daemon=True).start()

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process's id."""

    @property
    @abstractmethod
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` takes; ready once the process has ended."""

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Whether the process runs."""

    @abstractmethod
    def kill(self) -> None:
        """End the process at once."""

    def send(self, message: object) -> None:
        """Send a message to the process, in order; a thread waits in the caller's place until the pipe takes it."""
        self._outgoing.put(message)

    def received(self) -> list[object]:
        """Return the messages that the process has sent since the last call."""
        messages = []
        try:
            while self.connection.poll():
                messages.append(self.connection.recv())
        except (EOFError, OSError):
            pass  # it has ended; its sentinel is ready
        return messages

    def stop(self) -> list[object]:
        """End the process, by force if it takes too long; return its last messages."""
        self.send(Stop())
        last: list[object] = []
        deadline = time.monotonic() + _PATIENCE_S
        while self.alive and time.monotonic() < deadline:
            wait([self.sentinel], 0.02)
            last += self.received()
        if self.alive:
            self.kill()
            wait([self.sentinel])
        last += self.received()
        self._outgoing.put(None)
        return last


class ChildProcess(ProcessHandle):
    """A process that runs `target(*arguments, connection)`: spawned, or forked where `method` is `fork`."""

    def __init__(
        self, name: str, target: Callable[..., None], *arguments: Any, method: Literal["spawn", "fork"] = "spawn"
    ) -> None:
        context: Any = get_context(method)
        connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=target, args=(*arguments, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()
        super().__init__(name, connection)

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` takes; ready once the process has ended."""
        return self._process.sentinel

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()


class AdoptedProcess(ProcessHandle):
    """A process whose own controller has gone, and that took `connection` in its place (Linux; see `ControlLink`)."""

    def __init__(self, name: str, pid: int, connection: Connection) -> None:
        super().__init__(name, connection)
        self._pid, self._descriptor = pid, os.pidfd_open(pid)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._pid

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` takes; ready once the process has ended."""
        return self._descriptor

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return not wait([self._descriptor], 0)

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)


def _send_all(outgoing: SimpleQueue[object], connection: Connection) -> None:
    try:
        while (message := outgoing.get()) is not None:
            connection.send(message)
    except OSError:
        pass  # the process has gone
