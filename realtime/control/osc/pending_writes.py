"""Pending writes: of all checked values, the newest for each key, in the order in which the newest came.

A flood to one address then costs one write, and no newest value is lost, whatever comes between.
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.osc.packet import Message

P = TypeVar("P")


class PendingWrite(NamedTuple, Generic[P]):
    """A method, the checked value to write, and the peer that sent it."""

    method: OscMethod
    checked: Any
    peer: P


class PendingWrites(Generic[P]):
    """Writes that wait. A change of preset sets all parameters, so those written before it need not be done."""

    def __init__(self) -> None:
        self._writes: dict[str, PendingWrite[P]] = {}
        self._behind: list[tuple[Message, P]] = []
        self._changes_parameters = False

    def __bool__(self) -> bool:
        return bool(self._writes)

    @property
    def changes_parameters(self) -> bool:
        """Whether a write waits after which addresses may come, go or mean something else."""
        return self._changes_parameters

    @property
    def holds_messages(self) -> bool:
        """Whether messages wait to be checked once the addresses have changed."""
        return bool(self._behind)

    def put(self, write: PendingWrite[P]) -> None:
        """Add a write, in place of an older one with the same key."""
        method = write.method
        self._writes.pop(method.key, None)
        self._writes[method.key] = write
        self._changes_parameters = self._changes_parameters or method.changes_parameters

    def put_behind(self, message: Message, peer: P) -> None:
        """Add a message that can only be checked once the addresses have changed."""
        self._behind.append((message, peer))

    def take(self) -> tuple[list[PendingWrite[P]], list[tuple[Message, P]]]:
        """Remove and return the writes, and the messages that are to be checked after them."""
        writes, behind = list(self._writes.values()), self._behind
        self._writes, self._behind, self._changes_parameters = {}, [], False
        return writes, behind
