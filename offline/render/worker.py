"""A process that renders files one after another, and ends with the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

from gramophone.offline.render.attempt import attempt
from gramophone.offline.render.render_file import Rendered, RenderRequest
from gramophone.offline.urls import Place
from gramophone.presets.atomic import remove_parts
from gramophone.realtime.stages.one_thread import keep_torch_to_one_thread
from gramophone.realtime.system.interrupts import interrupts

_PRELOADED = [
    "soxr",
    "gramophone.realtime.engine",
    "gramophone.realtime.stages.effects.stage",
    "gramophone.realtime.stages.style.processor",
]
"""What is slow to load and nearly every chain needs."""
_GRACE_S = 10.0
_TICK_S = 0.1


class RenderWorker:
    """A worker process, seen from the one that started it. `connection` is readable when `receive` has something."""

    def __init__(self, request: RenderRequest) -> None:
        # A fork would copy the locks of the parent's threads. A fork server loads what every worker needs once.
        has_server = sys.platform != "win32" and "forkserver" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if has_server else "spawn")
        if has_server:
            context.set_forkserver_preload(_PRELOADED)
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, request), daemon=False)  # type: ignore[attr-defined]
        self._process.start()
        theirs.close()

    @property
    def is_alive(self) -> bool:
        """Whether it can render another file."""
        return not self.connection.closed

    def start(self, source: Place, target: Place) -> None:
        """Have it render a file."""
        try:
            self.connection.send((source, target))
        except OSError:  # it ended; `receive` tells how
            return

    def receive(self) -> float | Rendered | str:
        """Return seconds of sound done since the last time, or what the file became, or why it failed."""
        try:
            message: float | Rendered | str = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.connection.close()
            return f"the process that rendered it ended: {_cause(self._process.exitcode)}"
        return message

    def end(self) -> None:
        """End it, and wait until it has removed what is half done."""
        self._process.terminate()
        self._process.join(_GRACE_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self.connection.close()


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"{name}; is there enough memory?" if name == "SIGKILL" else name
    return f"exit code {code}"


def _work(connection: Connection, request: RenderRequest) -> None:
    """Render what comes through `connection` until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
    end = interrupts.raising(lambda: SystemExit(1))  # unwinds what is under way
    signal.signal(signal.SIGTERM, end)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_torch_to_one_thread()  # one process a core: more threads only get in each other's way
    try:
        _render_all(connection, request)
    finally:
        remove_parts()


def _render_all(connection: Connection, request: RenderRequest) -> None:
    progress = _Progress(connection)
    while True:
        try:
            source, target = connection.recv()
        except EOFError:
            return
        result = attempt(source, target, request, progress.add)
        progress.send()
        connection.send(result)


class _Progress:
    """Sends the seconds of sound done, not after every block."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seconds, self._sent = 0.0, time.monotonic()

    def add(self, seconds: float) -> None:
        self._seconds += seconds
        if time.monotonic() - self._sent > _TICK_S:
            self.send()

    def send(self) -> None:
        self._connection.send(float(self._seconds))
        self._seconds, self._sent = 0.0, time.monotonic()


def _end_with_parent() -> None:
    """End this process when its parent is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    # There is no event to wait for: where the signal ends the process, this thread goes with it. If it is still there
    # after the grace, the main thread is within a computation that Python cannot interrupt.
    time.sleep(_GRACE_S)
    os._exit(1)
