"""The coalescing queue: packets that wait to be processed; of those that set one parameter, only the newest.

A flood of values then costs one write for each parameter, and the newest values are set without delay.
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

    A packet is dropped for a later one if both are certain to set the same parameter, and between them lie only packets
    of that kind: every query, refusal and command then meets the same values as if all packets had been processed.
    """

    def __init__(self, methods: Callable[[], Mapping[str, OscMethod]]) -> None:
        self._methods = methods
        self._waiting: OrderedDict[Hashable, tuple[bytes, P]] = OrderedDict()
        self._others = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes, peer: P) -> None:
        """Add a packet."""
        key = _key(data, self._methods())
        if key is None:
            self._others += 1
        overtaken = self._waiting.pop((self._others, key), None)
        self._waiting[self._others, key] = data, peer
        self.bytes += len(data) + _OVERHEAD_BYTES if overtaken is None else len(data) - len(overtaken[0])

    def take(self) -> tuple[bytes, P]:
        """Remove and return the packet that has waited longest, with its peer."""
        _, (data, peer) = self._waiting.popitem(last=False)
        self.bytes -= len(data) + _OVERHEAD_BYTES
        return data, peer


def _key(data: bytes, methods: Mapping[str, OscMethod]) -> str | None:
    """Return the key of the parameter that a packet is certain to set; None for others, and where it may be refused."""
    end = data.find(0)
    tags = (end | 3) + 1
    number = _NUMBERS.get(data[tags : tags + 4])
    if end < 0 or number is None or len(data) != tags + 8 or any(data[end:tags]):
        return None
    method = methods.get(data[:end].decode("latin-1"))
    return method.key if method and method.surely_takes(number.unpack_from(data, tags + 4)[0]) else None
