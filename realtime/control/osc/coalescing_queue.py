"""The backlog: packets that have come and have not been heard yet; of what turns a knob only the newest.

A sender that is faster than knobs can be turned so costs one turn of each, and is heard without delay.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from gramophone.realtime.control.osc.method import OscMethod

P = TypeVar("P")

_OVERHEAD_BYTES = 400
"""What a packet takes beside its own bytes."""
_NUMBERS = {b",f\0\0": struct.Struct(">f"), b",i\0\0": struct.Struct(">i")}


class CoalescingQueue(Generic[P]):
    """Packets with their peers, in the order in which they came. `methods` returns the methods by address.

    A packet gives way to a later one where both are certain to turn the same knob, and nothing lies between them but
    such packets: so whatever is asked, refused or done besides finds the knobs as if all had been heard.
    """

    def __init__(self, methods: Callable[[], Mapping[str, OscMethod]]) -> None:
        self._methods = methods
        self._waiting: OrderedDict[Hashable, tuple[bytes, P]] = OrderedDict()
        self._others = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes, peer: P) -> None:
        """Let a packet wait."""
        knob = _knob(data, self._methods())
        if knob is None:
            self._others += 1
        overtaken = self._waiting.pop((self._others, knob), None)
        self._waiting[self._others, knob] = data, peer
        self.bytes += len(data) + _OVERHEAD_BYTES if overtaken is None else len(data) - len(overtaken[0])

    def take(self) -> tuple[bytes, P]:
        """Return the packet that has waited longest."""
        _, (data, peer) = self._waiting.popitem(last=False)
        self.bytes -= len(data) + _OVERHEAD_BYTES
        return data, peer


def _knob(data: bytes, methods: Mapping[str, OscMethod]) -> str | None:
    """Return which knob a packet is certain to turn; None where it does something else, or may be refused."""
    end = data.find(0)
    tags = (end | 3) + 1
    number = _NUMBERS.get(data[tags : tags + 4])
    if end < 0 or number is None or len(data) != tags + 8 or any(data[end:tags]):
        return None
    method = methods.get(data[:end].decode("latin-1"))
    return method.key if method and method.surely_takes(number.unpack_from(data, tags + 4)[0]) else None
