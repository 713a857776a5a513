"""A child process and the pipe to it. Sending never waits, even if the process hangs or is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Literal

_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Stop:
    """To any process: end."""


class ChildProcess:
    """A process that runs `target(*arguments, connection)`: spawned, or forked where `method` is `fork`."""

    def __init__(
        self, name: str, target: Callable[..., None], *arguments: Any, method: Literal["spawn", "fork"] = "spawn"
    ) -> None:
        context: Any = get_context(method)
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=target, args=(*arguments, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()
        self._outgoing: SimpleQueue[object] = SimpleQueue()
        threading.Thread(
            target=_send_all, args=(self._outgoing, self.connection), name=f"to {name}", daemon=True
        ).start()

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

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def stop(self) -> list[object]:
        """End the process, by force if it takes too long; return its last messages."""
        self.send(Stop())
        last: list[object] = []
        deadline = _PATIENCE_S
        while self.alive and deadline > 0:
            self._process.join(0.02)
            last += self.received()
            deadline -= 0.02
        if self.alive:
            self._process.kill()
            self._process.join()
        last += self.received()
        self._outgoing.put(None)
        return last


def _send_all(outgoing: SimpleQueue[object], connection: Connection) -> None:
    try:
        while (message := outgoing.get()) is not None:
            connection.send(message)
    except OSError:
        pass  # the process has gone
