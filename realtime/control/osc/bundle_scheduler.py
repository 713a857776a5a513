"""The bundle scheduler: messages that are not due yet, ordered by time; other messages do not wait for them."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

from gramophone.realtime.osc.error_log import RefusedError
from gramophone.realtime.osc.packet import Bundle, Message, due_at

P = TypeVar("P")

HORIZON_S = 600.0
_MOST_WAITING = 20_000


class BundleScheduler(Generic[P]):
    """Messages by the time at which they are due, in seconds since 1970; those of the same time keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Message, P]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> float | None:
        """When the next message is due; None when none waits."""
        return self._heap[0][0] if self._heap else None

    def put(self, due: float, message: Message, peer: P) -> None:
        """Hold a message.

        Raises:
            RefusedError: too many wait.
        """
        if len(self._heap) >= _MOST_WAITING:
            raise RefusedError("too many waiting", f"more than {_MOST_WAITING} messages wait for their time")
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, message, peer))

    def due(self, wall_s: float) -> list[tuple[Message, P]]:
        """Take out what is due by `wall_s`, in order."""
        taken = []
        while self._heap and self._heap[0][0] <= wall_s:
            _, _, message, peer = heapq.heappop(self._heap)
            taken.append((message, peer))
        return taken


def timed_messages(packet: Message | Bundle, wall_s: float, earliest: float = 0.0) -> list[tuple[float, Message]]:
    """Return a packet's messages in order, each with when it is due in seconds since 1970; 0 is at once.

    What is inside a bundle is never due before it.

    Raises:
        RefusedError: a time tag is too far ahead.
    """
    if isinstance(packet, Message):
        return [(earliest, packet)]
    due = max(due_at(packet.tag, wall_s), earliest)
    if due - wall_s > HORIZON_S:
        ahead = f"bundle due in {due - wall_s:.0f} s"
        raise RefusedError("too far ahead", f"{ahead}: expected at most {HORIZON_S:.0f} s")
    return [timed for element in packet.elements for timed in timed_messages(element, wall_s, due)]
