"""Asking the worker what the stages that play hold beside their parameters, such as the program of a plug-in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from itertools import count

from gramophone.realtime.live.messages import Ask, Held

_PATIENCE_S = 2.0


class HeldQuestions:
    """The questions that wait for an answer. Any thread may ask; another passes answers in."""

    def __init__(self) -> None:
        self._numbers = count()
        self._waiting: dict[int, Future[Held | None]] = {}

    def ask(self, send: Callable[[Ask], bool]) -> Held | None:
        """Return the answer to a question, which `send` sends, if it can.

        None where it cannot, or where no answer comes within two seconds or before the worker's end.
        """
        number, answer = next(self._numbers), Future[Held | None]()
        self._waiting[number] = answer
        try:
            return answer.result(_PATIENCE_S) if send(Ask(number)) else None
        except TimeoutError:
            return None
        finally:
            self._waiting.pop(number, None)

    def answer(self, held: Held) -> None:
        """Take an answer; one that is too late is left out."""
        if question := self._waiting.pop(held.number, None):
            question.set_result(held)

    def give_up(self) -> None:
        """Take note that no question will be answered."""
        while self._waiting:
            self._waiting.popitem()[1].set_result(None)
