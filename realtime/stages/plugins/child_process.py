"""A child process that may hang or crash: started fresh, waited for with a timeout, killed at the end.

It is spawned, never forked: a plug-in must not inherit part of this process's threads and locks.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection
from typing import Any

from gramophone.realtime.stages.plugins.description import PluginError, PluginFailedError
from gramophone.realtime.system.realtime_priority import belong_to_parent

CONTEXT = get_context("spawn")
_START_S = 60.0
"""Seconds that Python itself may take to start, on the busiest machine."""

_END_S = 0.5


class PluginProcess:
    """A process running `main(line, *arguments)` for a plug-in, called `name` in errors.

    `main` reports through its line by `done`, `refused` or `failed`; by `done` once before anything else, so that the
    time that Python takes to start does not count against the plug-in.

    Raises:
        PluginFailedError: the process does not start.
    """

    def __init__(self, name: str, main: Callable[..., None], *arguments: Any) -> None:
        self._name = name
        self._line, theirs = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=main, args=(theirs, *arguments), daemon=True)
        if current_process().daemon:
            current_process().daemon = False  # daemons may not have children; ours end when their host does
        try:
            self._process.start()
        except OSError as error:
            raise PluginFailedError(f"{name}: no process for it: {error}") from None
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    def wait_until_up(self) -> None:
        """Wait until the child's Python runs.

        Raises:
            PluginFailedError: it does not start.
        """
        self.expect(_START_S, "starting")

    def expect(self, timeout_s: float, activity: str) -> Any:
        """Wait up to `timeout_s` seconds for a result; `activity` describes in errors what the plug-in was doing.

        Raises:
            PluginError: the child reports that the preset does not fit the plug-in.
            PluginFailedError: no result in time, the process ended, or it reports that the plug-in failed.
        """
        try:
            ready = self._line.poll(timeout_s)
            verdict, content = self._line.recv() if ready else ("failed", f"no answer after {timeout_s:g} s")
        except (EOFError, OSError):
            verdict, content = "failed", f"crashed ({self._exit()})"
        if verdict == "refused":
            raise PluginError(f"{self._name}: {content}")
        if verdict == "failed":
            raise PluginFailedError(f"{self._name}: while {activity}: {content}")
        return content

    def match_priority(self) -> bool:
        """Give the process the calling thread's real-time priority; return whether the thread has one.

        The thread waits while the process works. Only Linux allows it.
        """
        if sys.platform != "linux" or (policy := os.sched_getscheduler(0)) == os.SCHED_OTHER:
            return False
        with suppress(OSError):
            os.sched_setscheduler(self.pid, policy, os.sched_getparam(0))
            return True
        return False

    def close(self) -> None:
        """Kill the process. Returns at once: another thread waits for its end."""
        self._process.kill()
        threading.Thread(target=self._join, name=f"end of {self._name}", daemon=True).start()

    def _join(self) -> None:
        self._process.join()
        self._process.close()
        self._line.close()

    def _exit(self) -> str:
        self._process.join(_END_S)
        code = self._process.exitcode
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def done(line: Connection, result: object = None) -> None:
    """Report a result, or that all is well so far; called in the child."""
    line.send(("done", result))


def refused(line: Connection, error: Exception) -> None:
    """Report that the plug-in does not fit the preset; called in the child."""
    line.send(("refused", str(error)))


def failed(line: Connection, error: Exception) -> None:
    """Report that the plug-in failed; called in the child."""
    line.send(("failed", f"{error}" or type(error).__name__))


def step_aside() -> None:
    """Let a child end with its parent and leave the terminal to it: no word of a plug-in is seen there."""
    belong_to_parent()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
