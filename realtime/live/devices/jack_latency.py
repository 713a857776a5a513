"""Latency for JACK: the part of its interface that JACK-Client leaves out.

The server asks every client, in the order of the signal, for the latency of its ports; recorders and
DAWs align by the answer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes.util import find_library
from typing import Any

_CAPTURE, _PLAYBACK = 0, 1


class _Range(ctypes.Structure):
    _fields_ = (("min", ctypes.c_uint32), ("max", ctypes.c_uint32))


_Callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)


class JackLatency:
    """The latency of one client, between all its inputs and all its outputs. Made before the client is activated."""

    def __init__(self, client: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._jack = ctypes.CDLL(find_library("jack"))
        self._client = _address(client)
        self._inputs, self._outputs = [_address(p) for p in inputs], [_address(p) for p in outputs]
        self._samples = 0
        self._callback = _Callback(self._answer)  # kept here: the server holds no reference
        self._jack.jack_set_latency_callback(self._client, self._callback, None)

    def announce(self, samples: int) -> None:
        """Announce that the output is `samples` later than the input."""
        if samples != self._samples:
            self._samples = samples
            self._jack.jack_recompute_total_latencies(self._client)

    def _answer(self, mode: int, _argument: object) -> None:
        """Give the side that is asked for the other side's latency and ours on top."""
        known, asked = (self._inputs, self._outputs) if mode == _CAPTURE else (self._outputs, self._inputs)
        ranges = [self._get(port, mode) for port in known]
        low = min((r.min for r in ranges), default=0) + self._samples
        high = max((r.max for r in ranges), default=0) + self._samples
        for port in asked:
            self._jack.jack_port_set_latency_range(port, mode, ctypes.byref(_Range(low, high)))

    def _get(self, port: ctypes.c_void_p, mode: int) -> _Range:
        found = _Range()
        self._jack.jack_port_get_latency_range(port, mode, ctypes.byref(found))
        return found


def _address(wrapped: Any) -> ctypes.c_void_p:
    """Return the C pointer that a JACK-Client object holds."""
    import jack

    return ctypes.c_void_p(int(jack._ffi.cast("uintptr_t", wrapped._ptr)))
