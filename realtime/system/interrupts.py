"""Interrupts that wait while a C library is at work that calls Python."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


class DeferredInterrupts:
    """Lets an interrupt wait while a C library is at work that calls Python: `with interrupts:` around the call.

    No exception can pass through C: one that the handler of a signal raises within a callback would be lost, and a file
    seem to end there. Only the main thread runs such handlers, so nothing is locked.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._waiting: Callable[[], BaseException] | None = None

    def raising(self, make: Callable[[], BaseException]) -> Callable[[int, FrameType | None], None]:
        """Return a handler of a signal that raises what `make` makes, at once or when the call has returned."""

        def receive(_number: int, _frame: FrameType | None) -> None:
            if not self._depth:
                raise make()
            self._waiting = make

        return receive

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            self._depth -= 1
            if self._waiting and not self._depth:
                make, self._waiting = self._waiting, None
                raise make()


interrupts = DeferredInterrupts()
"""Those of this process."""


def end_as_on_interrupt() -> None:
    """Clean up when the terminal is closed or the process is asked to end, as on Ctrl-C: `KeyboardInterrupt`."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # nohup ignores SIGHUP, and a shell SIGINT of what runs in the background: so be it.
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupts.raising(KeyboardInterrupt))
