"""The OSC server: one thread and one UDP socket around a message dispatcher.

Emptying the socket comes first, and again after every packet that is processed: when its buffer is full, the system
keeps the oldest packets and drops the newest, while a parameter needs the newest. Where it is allowed the thread runs
with real-time priority: at the usual one, other programs may stop it for longer than a small buffer lasts.

The coalescing queue: packets that wait to be processed; of those that set one parameter, only the newest.

A flood of values then costs one write for each parameter, and the newest values are set without delay.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.osc.udp import AllowListError, ListenError, allow_list, dropped, enlarge, listen
from gramophone.realtime.system.realtime_priority import CONTROLS, real_time

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


Address = tuple[Any, ...]

_LARGEST = 65_536
_EMPTIED_AT_ONCE = 2_000
_PROCESSED_AT_ONCE = 100
_QUEUED_BYTES = 64 << 20
_WRITE_EVERY_S = 0.004
_LOOK_EVERY_S = 1.0


class OscError(OSError):
    """The OSC server cannot start; the message says why and what to do."""


@contextmanager
def osc_server(
    space: AddressSpace, port: int, host: str = "127.0.0.1", allow: Iterable[str] = ()
) -> Iterator[OscServer]:
    """Serve the address space over UDP while the context lasts.

    Port 0 takes any free one (see `OscServer.port`). `host` other than this machine's own needs `allow`: the
    addresses (`192.168.1.20`) or networks (`192.168.1.0/24`) of the peers whose packets are taken.

    Raises:
        OscError: the port cannot be opened, or `host` needs an `allow`.
    """
    server = OscServer(space, port, host, allow)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class OscServer:
    """A UDP socket and the thread that serves it.

    `port` is its port, `received` counts the packets, `buffer_bytes` is how many bytes of them the system holds, and
    `real_time` whether the thread has priority over other programs.
    """

    def __init__(self, space: AddressSpace, port: int, host: str, allow: Iterable[str]) -> None:
        self._space = space
        try:
            self._allow_list = allow_list(host, tuple(allow))
            self._socket = listen(host, port)
        except AllowListError as error:
            raise OscError(f"OSC: {error}") from None
        except ListenError as error:
            raise OscError(f"OSC {error}; choose another with --osc-port") from None
        self.port: int = self._socket.getsockname()[1]
        self.buffer_bytes = enlarge(self._socket)
        self._dispatcher: Dispatcher[Address] = Dispatcher(space, _at_port)
        self._queue: CoalescingQueue[Address] = CoalescingQueue(lambda: space.methods)
        self.received = 0
        self.real_time = False
        self._written_at = self._looked_at = 0.0
        self._dropped = 0
        self._wake, self._woken = socket.socketpair()
        self._running = True
        self._thread = threading.Thread(target=self._run, name="osc", daemon=True)

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and give the port back."""
        self._running = False
        self._wake.send(b"\0")
        self._thread.join()
        for sock in (self._socket, self._wake, self._woken):
            sock.close()

    def _run(self) -> None:
        self.real_time = real_time(CONTROLS, inherited=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while self._running:
                selector.select(self._wait_s())
                try:
                    self._serve()
                except Exception as error:  # the thread must never end
                    self._space.errors.add("internal", f"{type(error).__name__}: {error}")

    def _wait_s(self) -> float | None:
        return 0.0 if self._queue else self._dispatcher.wait_s(time.monotonic())

    def _serve(self) -> None:
        self._empty_socket()
        now = time.monotonic()
        for _ in range(_PROCESSED_AT_ONCE):
            if self._queue:
                self._dispatcher.receive(*self._queue.take(), now)
                self._empty_socket()
        if not self._queue or now - self._written_at > _WRITE_EVERY_S:
            self._dispatcher.advance(now)
            self._written_at = now
            self._send()
            self._look_for_drops(now)

    def _empty_socket(self) -> None:
        for _ in range(_EMPTIED_AT_ONCE):
            if self._queue.bytes > _QUEUED_BYTES:
                return
            try:
                data, peer = self._socket.recvfrom(_LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # Windows reports here that an earlier answer could not be delivered
                continue
            if peer[0] in self._allow_list:
                self._queue.put(data, peer)
                self.received += 1
            else:
                self._space.errors.add("not allowed", f"packet from {peer[0]}, which is not on the allow-list")

    def _send(self) -> None:
        outgoing = self._dispatcher.outgoing
        while outgoing:
            packet, peer = outgoing.popleft()
            try:
                self._socket.sendto(packet, peer)
            except OSError as error:
                self._space.errors.add("answer dropped", f"to {peer[0]}: {error.strerror}")

    def _look_for_drops(self, now: float) -> None:
        if now - self._looked_at > _LOOK_EVERY_S:
            self._looked_at = now
            lost = dropped(self._socket) - self._dropped
            if lost > 0:
                self._dropped += lost
                text = f"{lost} packets came faster than the system's buffer of {self.buffer_bytes} bytes could hold"
                self._space.errors.add("packets lost", f"{text}; raise net.core.rmem_max", "buffer", lost)


def _at_port(peer: Address, port: int) -> Address:
    return (peer[0], port, *peer[2:])
