"""The controlled process's end of the pipe to its controller, which another controller may take over.

When the controller has gone, however it went, the process listens at a local socket of its own (Linux, one user) and
does its work until another connects, until it is asked to end, or until it has waited for long enough.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path

from gramophone.realtime.system.process_handle import AdoptedProcess, Stop

_LOOK_S = 0.1
_CONNECTED_WITHIN_S = 5.0

Greeting = Callable[[Connection], None]
"""Sends over a new connection what another controller needs to know first."""


class ControlLink:
    """Messages to and from the controller, whichever it is by now; after the last one, `recv` returns `Stop`.

    `home` and the process id make the socket's name; None: the process ends with its controller. Without a controller
    it waits for `patience_s`, or until `ending` is true. `send` never waits for a controller: without one, what is sent
    is dropped.
    """

    def __init__(
        self,
        connection: Connection,
        home: Path | None = None,
        patience_s: float = 0.0,
        greet: Greeting = lambda _connection: None,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._connection, self._home, self._patience_s = connection, home, patience_s
        self._greet, self._ending = greet, ending
        self._received: deque[object] = deque()
        self._come, self._sending = threading.Condition(), threading.Lock()
        self.orphaned = False
        """Whether there is no controller, or there was none at the end."""
        self.controllers = 1
        """How many there have been."""
        threading.Thread(target=self._read, name="from the controller", daemon=True).start()

    def send(self, message: object) -> None:
        """Send a message."""
        with self._sending, suppress(OSError):
            self._connection.send(message)

    def recv(self) -> object:
        """Wait for a message and return it."""
        with self._come:
            self._come.wait_for(lambda: self._received)
            return self._received.popleft()

    def poll(self, timeout: float = 0.0) -> bool:
        """Return whether a message is there, or comes within `timeout` seconds."""
        with self._come:
            return self._come.wait_for(lambda: bool(self._received), timeout)

    def _read(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                message = None if self._find_another() else Stop()
            if message is not None:
                with self._come:
                    self._received.append(message)
                    self._come.notify_all()
            if isinstance(message, Stop):
                return

    def _find_another(self) -> bool:
        """Wait for another controller; return False where none came."""
        self.orphaned = True
        self._connection.close()
        if self._home is None:
            return False
        address, until = address_of(self._home, os.getpid()), time.monotonic() + self._patience_s
        with suppress(FileNotFoundError):
            address.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(address))
            listener.listen(1)
            listener.settimeout(_LOOK_S)
            try:
                while time.monotonic() < until and not self._ending():
                    with suppress(TimeoutError, OSError):
                        self._take(Connection(listener.accept()[0].detach()))
                        return True
            finally:
                address.unlink(missing_ok=True)
        return False

    def _take(self, connection: Connection) -> None:
        with self._sending:
            connection.send(os.getpid())
            self._greet(connection)
            self._connection = connection
            self.orphaned = False
            self.controllers += 1


def end_on_sigterm(link: ControlLink, end: Callable[[], None]) -> None:
    """On SIGTERM call `end` where there is no controller; where there is one, end at once, as without this."""

    def receive(number: int, _frame: object) -> None:
        if link.orphaned:
            end()
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, receive)


def address_of(home: Path, pid: int) -> Path:
    """Return the name of the socket at which a process waits for another controller."""
    return home.with_name(f"{home.name}.{pid}")


def send_descriptor(connection: Connection, descriptor: int) -> None:
    """Send a file descriptor to a process that is no child of ours."""
    reduction.send_handle(connection, descriptor, None)


def adopt(name: str, home: Path, pid: int) -> tuple[AdoptedProcess, int] | None:
    """Become the controller of a process that has lost its own; return it and the descriptor that it greets with.

    None where it has ended, or does not answer in time.
    """
    until = time.monotonic() + _CONNECTED_WITHIN_S
    while time.monotonic() < until:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.connect(str(address_of(home, pid)))
        except OSError:  # it may not have noticed yet that its controller has gone
            link.close()
            time.sleep(_LOOK_S / 5)
            continue
        connection = Connection(link.detach())
        try:
            if connection.poll(_CONNECTED_WITHIN_S) and connection.recv() == pid:
                return AdoptedProcess(name, pid, connection), reduction.recv_handle(connection)
        except (EOFError, OSError):
            pass
        connection.close()
    return None
