"""Background work of a stage: changes that take too long for the audio thread.

Changes are numbered from 1 in the order in which they were submitted. A change superseded by a later one never takes
effect. By default a change takes effect in the block that finds it done; on hold, only where `take` says so, as the
replay of a recording requires (`Stage.taken`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from gramophone.realtime.stage import Stage, StageError

_LOG = logging.getLogger(__name__)
_Made = TypeVar("_Made")
_NICENESS = 2
"""Small: in the end the audio waits for the result."""


class Background(Generic[_Made]):
    """A thread that runs one job at a time. Any thread may submit; one thread, the audio's, collects the results.

    `taken` is the number of the change in effect.
    """

    def __init__(self, name: str) -> None:
        self._maker = ThreadPoolExecutor(1, name, lower_priority)
        self._request: _Request[_Made] | None = None
        self._held = False
        self._submitted = self.taken = 0

    def submit(self, make: Callable[[], _Made]) -> None:
        """Start `make` in the background, in place of any job submitted before."""
        self._submitted += 1
        superseded, self._request = self._request, _Request(self._submitted, self._maker.submit(make))
        if superseded:
            superseded.made.cancel()

    def collect(self) -> _Made | None:
        """Return the result of the job, once; None if there is none, or on hold.

        Raises:
            Whatever the job raised, once.
        """
        request = self._request
        if self._held or request is None or not request.made.done() or request.made.cancelled():
            return None
        return self._result_of(request)

    def hold(self) -> None:
        """From now on, only `take` returns results."""
        self._held = True

    def take(self, number: int) -> _Made:
        """Wait for change `number` and return its result.

        Raises:
            StageError: it is not the change submitted last, or was taken before.
            Whatever the job raised.
        """
        request = self._request
        if request is None or request.number != number:
            raise StageError(f"change {number}: expected the last that was asked for, {self._submitted}, once")
        return self._result_of(request)

    def close(self) -> None:
        """End the thread."""
        self._maker.shutdown(wait=True, cancel_futures=True)

    def _result_of(self, request: _Request[_Made]) -> _Made:
        if self._request is request:
            self._request = None
        made = request.made.result()
        self.taken = request.number
        return made


class BackgroundStage(Stage, Generic[_Made]):
    """A stage with `background` jobs; a job that fails is named in the log, and the stage stays as it was."""

    kind: ClassVar[str]
    background: Background[_Made]

    def hold(self) -> None:
        """From now on, adopt only the changes that `take` names."""
        self.background.hold()

    def take(self, number: int) -> None:
        """Adopt change `number`, the last submitted, with the next block; wait until it is done.

        Raises:
            StageError: it is not the last change submitted, or a file that it needs cannot be used.
        """
        self._take_over(self.background.take(number))

    def close(self) -> None:
        """End the background thread."""
        self.background.close()

    def _collect(self) -> None:
        """Adopt the result of the background job, if there is one."""
        try:
            made = self.background.collect()
        except StageError as error:
            _LOG.warning("%s: %s; it stays as it was", self.kind, error)
            return
        if made is not None:
            self._take_over(made)

    def _take_over(self, made: _Made) -> None:
        self.taken = self.background.taken
        self._adopt(made)

    @abstractmethod
    def _adopt(self, made: _Made) -> None:
        """Use the result from now on."""


@dataclass(frozen=True)
class _Request(Generic[_Made]):
    """A change that was submitted: its number, and its future result."""

    number: int
    made: Future[_Made]


def lower_priority() -> None:
    """Let the audio thread go first: on Linux each thread has a priority of its own.

    Under real-time scheduling this thread stays only just below the audio's: if other programs kept it from running
    while it holds the interpreter lock, the audio would wait, too.
    """
    with contextlib.suppress(AttributeError, OSError):
        if os.sched_getscheduler(0) == os.SCHED_FIFO:
            priority = os.sched_getparam(0).sched_priority
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(max(priority - 10, 1)))
        else:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
