"""What the worker reports to the session.

In answer to questions: what the stages that play hold beside their parameters, such as the program of a plug-in.
Unasked: which stages are left out, and what is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from itertools import count

from gramophone.realtime.live.messages import Ask, Compiling, Held, LeftOut

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


class Announcements:
    """Which stages are left out or made again, and what is compiled; `say` is called with news of either."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.left_out = LeftOut({}, {})
        self.compiling_s: int | None = None
        """Seconds until the code for this machine is compiled, 0 for soon; None where nothing is compiled."""
        self._say, self._plays, self._what = say, False, ""

    @property
    def status(self) -> str:
        """What is compiled, in words; empty where nothing is."""
        if self.compiling_s is None:
            return ""
        time_left = f"about {self.compiling_s} s left" if self.compiling_s else "a moment longer"
        return f"compiling {self._what} for this machine, {self._heard}, {time_left}"

    def take_left_out(self, left_out: LeftOut) -> None:
        """Keep which stages are left out; say the first time that one fails, as the figures count the others."""
        first = [name for name in left_out.failures if name not in self.left_out.failures]
        self.left_out = left_out
        for name in first:
            self._say(f"stage {name!r} played what is no sound (not finite, or above +120 dBFS) and is made again")

    def take_compiling(self, compiling: Compiling, plays: bool) -> None:
        """Keep how long compiling takes, while a chain `plays` or none does; say when it begins and when it is done."""
        begins, self.compiling_s, self._plays = self.compiling_s is None, compiling.left_s, plays
        self._what = compiling.what
        if compiling.left_s is None:
            self._say(f"{self._what} is on")
        elif begins:
            self._say(
                f"compiling {self._what} for this machine takes about {compiling.left_s} s; {self._heard} meanwhile"
            )

    @property
    def _heard(self) -> str:
        return "what plays goes on" if self._plays else "you hear yourself dry"

    def forget(self) -> None:
        """Take note that the worker has died."""
        self.left_out, self.compiling_s = LeftOut({}, {}), None
