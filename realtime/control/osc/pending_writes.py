"""The inbox: of all that came, the newest for each thing that can be turned, in the order of the newest.

A flood of one address so costs one turn of its knob, and no newest value is lost, whatever comes between.
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.osc.packet import Message

P = TypeVar("P")


class PendingWrite(NamedTuple, Generic[P]):
    """A method to be written, with what, and who asked."""

    method: OscMethod
    checked: Any
    peer: P


class PendingWrites(Generic[P]):
    """What waits to be done. Knobs turned before a change of preset are forgotten by it: it sets them all."""

    def __init__(self) -> None:
        self._writes: dict[str, PendingWrite[P]] = {}
        self._behind: list[tuple[Message, P]] = []
        self._changes_parameters = False

    def __bool__(self) -> bool:
        return bool(self._writes)

    @property
    def changes_parameters(self) -> bool:
        """Whether something waits after which addresses may mean something else."""
        return self._changes_parameters

    def put(self, write: PendingWrite[P]) -> None:
        """Let a checked write wait, in place of an older one for the same thing."""
        method = write.method
        self._writes.pop(method.key, None)
        self._writes[method.key] = write
        self._changes_parameters = self._changes_parameters or method.changes_parameters

    def put_behind(self, message: Message, peer: P) -> None:
        """Let a message wait that cannot be understood before the layout has changed; so it cannot stand for others."""
        self._behind.append((message, peer))

    def take(self) -> tuple[list[PendingWrite[P]], list[tuple[Message, P]]]:
        """Return what waits, and the messages to be understood after it; nothing waits any more."""
        writes, behind = list(self._writes.values()), self._behind
        self._writes, self._behind, self._changes_parameters = {}, [], False
        return writes, behind
