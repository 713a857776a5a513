"""News for single peers: why something that a peer sent was refused, and what became of a command that takes a while.

Each refusal is sent to the peer that asked, up to ten in a second. What a flood of wrong messages adds is counted and
sent in one sentence when the second is over: a flood of messages never becomes a flood of answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from gramophone.realtime.control.osc.parameter_methods import NoticeMethod

P = TypeVar("P")

EACH_SECOND = 10
_WINDOW_S = 1.0
_MOST_PEERS = 256
_LONGEST = 500
_AWAITED_S = 20.0
"""How long a peer that gave a command is sent all notices: a plug-in may be asked for its parameters for 10 s."""
_POLL_S = 0.05


@dataclass
class _Told:
    """What one peer was sent in the second that ends at `ends_at`, and what was held back: how many, and the last."""

    ends_at: float
    count: int = 0
    held: int = 0
    last: str = ""


class PeerNews(Generic[P]):
    """Sentences for peers, each with its number in one sequence with `notices`: the arguments of `/gramophone/news`.

    The time `now` is in seconds on a clock that only runs forwards. One thread at a time.
    """

    def __init__(self, notices: NoticeMethod) -> None:
        self._notices = notices
        self._told: dict[P, _Told] = {}
        self._awaiting: dict[P, float] = {}
        self._seen = 0

    def refuse(self, peer: P, text: str, now: float) -> tuple[int, str] | None:
        """Return what the peer is to be sent now about a refusal; None where it has had enough for this second."""
        told = self._told.get(peer)
        if told is None:
            if len(self._told) >= _MOST_PEERS:  # many senders with one wrong message each: counted, as all errors are
                return None
            told = self._told[peer] = _Told(now + _WINDOW_S)
        text = _sendable(text)
        if told.count >= EACH_SECOND or told.held:
            told.held, told.last = told.held + 1, text
            return None
        told.count += 1
        return self._notices.take_number(), text

    def expect(self, peer: P, now: float) -> None:
        """Note that the peer gives a command, and that notices from now on may say what becomes of it."""
        if not self._awaiting:
            self._pass_over()
        self._awaiting[peer] = now + _AWAITED_S
        if len(self._awaiting) > _MOST_PEERS:
            del self._awaiting[next(iter(self._awaiting))]

    def due(self, now: float) -> list[tuple[P, tuple[int, str]]]:
        """Return what is to be sent now: how much was held back, and notices to peers that wait for one."""
        found = []
        for peer, told in list(self._told.items()):
            if told.ends_at > now:
                continue
            if told.held:
                more = f"{told.held} more refused, the last: " if told.held > 1 else ""
                found.append((peer, (self._notices.take_number(), more + told.last)))
                self._told[peer] = _Told(now + _WINDOW_S, 1)
            else:
                del self._told[peer]
        for notice in self._notices.since(self._seen):
            self._seen = notice[0]
            found += [(peer, notice) for peer in self._awaiting]
        for peer in [peer for peer, until in self._awaiting.items() if until <= now]:
            del self._awaiting[peer]
        return found

    def next_at(self, now: float) -> float | None:
        """Return when `due` is to be asked next; None while nothing waits."""
        times = [told.ends_at for told in self._told.values()]
        return min([*times, now + _POLL_S] if self._awaiting else times, default=None)

    def _pass_over(self) -> None:
        """Leave out the notices of before, for which no peer waits."""
        for number, _ in self._notices.since(self._seen):
            self._seen = number

    def forget(self, peer: P) -> None:
        """Forget a peer that has gone."""
        self._told.pop(peer, None)
        self._awaiting.pop(peer, None)


def _sendable(text: str) -> str:
    """Return a text that fits into an OSC string, whatever a peer has written into it."""
    text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
