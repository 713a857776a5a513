"""What a stage makes ready in the background: changes that take too long for the thread of the sound.

Changes are numbered from 1 in the order in which they were asked for. One that another has overtaken is never taken
over. Left alone, a change is taken over by the block that finds it ready; on hold, only where `take` says, as a
recording that is played again needs it (`Stage.taken`).
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
"""Little: in the end the sound waits for what is made."""


class Background(Generic[_Made]):
    """A thread that makes one thing at a time. One thread takes over, any may ask; `taken` is the change it has now."""

    def __init__(self, name: str) -> None:
        self._maker = ThreadPoolExecutor(1, name, step_back)
        self._order: _Order[_Made] | None = None
        self._held = False
        self._ordered = self.taken = 0

    def ask(self, make: Callable[[], _Made]) -> None:
        """Have something made in place of whatever was asked for before."""
        self._ordered += 1
        overtaken, self._order = self._order, _Order(self._ordered, self._maker.submit(make))
        if overtaken:
            overtaken.made.cancel()

    def ready(self) -> _Made | None:
        """Return what has been made, once; None if there is nothing, or on hold.

        Raises:
            What making it raised, once.
        """
        order = self._order
        if self._held or order is None or not order.made.done() or order.made.cancelled():
            return None
        return self._hand_over(order)

    def hold(self) -> None:
        """From now on, hand over only what `take` names."""
        self._held = True

    def take(self, number: int) -> _Made:
        """Return what change `number` made, once it is ready.

        Raises:
            StageError: that is not the change asked for last, or was taken before.
            What making it raised.
        """
        order = self._order
        if order is None or order.number != number:
            raise StageError(f"change {number}: expected the last that was asked for, {self._ordered}, once")
        return self._hand_over(order)

    def close(self) -> None:
        """End the thread."""
        self._maker.shutdown(wait=True, cancel_futures=True)

    def _hand_over(self, order: _Order[_Made]) -> _Made:
        if self._order is order:
            self._order = None
        made = order.made.result()
        self.taken = order.number
        return made


class BackgroundStage(Stage, Generic[_Made]):
    """A stage that makes what takes long in the `background`; what cannot be made is named, and the old one stays."""

    kind: ClassVar[str]
    background: Background[_Made]

    def hold(self) -> None:
        """From now on, take over only the changes that `take` names."""
        self.background.hold()

    def take(self, number: int) -> None:
        """Take over change `number`, the last that was asked for, with the next block, waiting until it is ready.

        Raises:
            StageError: it is not the last that was asked for, or a file that it needs cannot be used.
        """
        self._take_over(self.background.take(number))

    def close(self) -> None:
        """End the background thread."""
        self.background.close()

    def _look(self) -> None:
        """Take over what has been made, if anything has."""
        try:
            made = self.background.ready()
        except StageError as error:
            _LOG.warning("%s: %s; it stays as it was", self.kind, error)
            return
        if made is not None:
            self._take_over(made)

    def _take_over(self, made: _Made) -> None:
        self.taken = self.background.taken
        self._enter(made)

    @abstractmethod
    def _enter(self, made: _Made) -> None:
        """Play with what has been made from now on."""


@dataclass(frozen=True)
class _Order(Generic[_Made]):
    """A change that was asked for: the how-many-th, and what is made for it."""

    number: int
    made: Future[_Made]


def step_back() -> None:
    """Give way to the sound: on Linux a thread has a priority of its own.

    Where the sound has real-time priority, this stays just below: a thread that is kept from running by other
    programs while it holds the interpreter would hold up the sound, too.
    """
    with contextlib.suppress(AttributeError, OSError):
        if os.sched_getscheduler(0) == os.SCHED_FIFO:
            priority = os.sched_getparam(0).sched_priority
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(max(priority - 10, 1)))
        else:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
