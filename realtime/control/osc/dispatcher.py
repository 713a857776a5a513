"""The conversation: OSC packets of peers in, turned knobs and packets for peers out. It knows no sockets.

A peer is whatever the packets came from and answers go to: a UDP address, a WebSocket.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from gramophone.models.parameters import ParameterError
from gramophone.presets import PresetError
from gramophone.realtime.control.osc.address_space import NORMALISED, ROOT, AddressSpace
from gramophone.realtime.control.osc.bundle_scheduler import BundleScheduler, unpacked
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.control.osc.pending_writes import PendingWrite, PendingWrites
from gramophone.realtime.control.osc.subscriptions import LIFETIME_S, USUAL_HZ, Subscriptions
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.error_log import RefusedError
from gramophone.realtime.osc.packet import Message, PacketError, decode, encode

P = TypeVar("P")

Redirect = Callable[[P, int], P]
"""From a peer and a port, the peer at that port of the same host."""

_MOST_OUTGOING = 10_000


class Dispatcher(Generic[P]):
    """All that is said between the address space and its peers. One thread at a time.

    `receive` takes packets in, `advance` does what is due; both take the time in seconds on a clock that only runs
    forwards. `wall` is the clock that time tags mean. Whatever comes, neither raises.
    """

    def __init__(
        self, space: AddressSpace, redirect: Redirect[P] | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self.outgoing: deque[tuple[bytes, P]] = deque()
        self._space, self._redirect, self._wall = space, redirect, wall
        self._inbox: PendingWrites[P] = PendingWrites()
        self._schedule: BundleScheduler[P] = BundleScheduler()
        self._subscriptions: Subscriptions[P] = Subscriptions(space)
        self._own: dict[str, Callable[[Message, P, float], None]] = {
            f"{ROOT}/subscribe": self._subscribe,
            f"{NORMALISED}/subscribe": self._subscribe,
            f"{ROOT}/unsubscribe": self._unsubscribe,
            f"{ROOT}/errors": self._errors,
        }

    def receive(self, data: bytes, peer: P, now: float) -> None:
        """Take in a packet: what is due waits for `advance`, where only the newest for each knob counts."""
        try:
            packet = decode(data)
            if isinstance(packet, Message):
                self._hear(packet, peer, now)
                return
            wall_s = self._wall()
            timed = unpacked(packet, wall_s)
            for due, message in timed:
                if due > wall_s:
                    self._schedule.put(due, message, peer)
            self._hear_all([(message, peer) for due, message in timed if due <= wall_s], now)
        except PacketError as error:
            self._space.errors.add("malformed", str(error), about=str(peer))
        except RefusedError as error:
            self._space.errors.add(error.kind, str(error))

    def advance(self, now: float) -> None:
        """Do what waits and what has become due, answer, and tell the subscribers."""
        self._hear_all(self._schedule.due(self._wall()), now)
        self._do(now)
        try:
            for peer, packet in self._subscriptions.tick(now):
                self._send(packet, peer)
        except Exception as error:  # meters are foreign code
            self._fault(error, "subscription")

    def wait_s(self, now: float) -> float | None:
        """Return how long nothing will be due; None for ever."""
        if self._inbox or self.outgoing:
            return 0.0
        waits = []
        if self._schedule.next_due is not None:
            waits.append(self._schedule.next_due - self._wall())
        if self._subscriptions.next_at is not None:
            waits.append(self._subscriptions.next_at - now)
        return max(min(waits), 0.0) if waits else None

    def forget(self, peer: P) -> None:
        """Tell a peer that has gone nothing more."""
        self._subscriptions.remove(peer)

    def _hear_all(self, messages: list[tuple[Message, P]], now: float) -> None:
        """Hear messages that belong together: what is asked among them is answered when all is set."""
        for message, peer in sorted(messages, key=lambda each: self._demands_an_answer(each[0])):
            self._hear(message, peer, now)

    def _demands_an_answer(self, message: Message) -> bool:
        method = self._space.methods.get(message.address)
        return message.address in self._own or (not message.types and (method is None or method.readable))

    def _hear(self, message: Message, peer: P, now: float) -> None:
        try:
            if message.address in self._own:
                self._do(now)
                self._own[message.address](message, peer, now)
            elif self._inbox.changes_parameters and message.types:
                self._hear_behind(message, peer)
            else:
                self._understand(message, peer, now)
        except Exception as error:
            self._fault(error, message.address)

    def _hear_behind(self, message: Message, peer: P) -> None:
        """Another layout is coming: what changes it again is heard now, all else when it is in place."""
        method = self._space.methods.get(message.address)
        if method and method.changes_parameters:
            self._inbox.put(PendingWrite(method, method.check(message), peer))
        else:
            self._inbox.put_behind(message, peer)

    def _understand(self, message: Message, peer: P, now: float) -> None:
        methods = self._space.find(message.address)
        if not message.types and methods[0].readable:
            self._do(now)
            for method in self._space.find(message.address):
                self._send(encode(method.path, method.read()), peer)
            return
        for method in methods:
            self._put(method, message._replace(address=method.path), peer)

    def _put(self, method: OscMethod, message: Message, peer: P) -> None:
        try:
            checked = method.check(message)
            if checked is not None:
                self._inbox.put(PendingWrite(method, checked, peer))
        except RefusedError as error:
            self._subscriptions.has_set(peer, method, taken=False)
            self._space.errors.add(error.kind, str(error), about=method.path)

    def _do(self, now: float) -> None:
        while self._inbox:
            writes, behind = self._inbox.take()
            for write in self._turn(writes):
                self._write(write)
            for message, peer in behind:
                self._hear(message, peer, now)

    def _turn(self, writes: list[PendingWrite[P]]) -> list[PendingWrite[P]]:
        """Turn at once what can be, so that all of a bundle is heard from the same block on; return what is left."""
        turns = [write for write in writes if write.method.together]
        if len(turns) < 2:
            return writes
        try:
            self._space.turn({write.method.key: write.checked for write in turns})
        except Exception:  # one of them cannot be turned: each for itself, to find out which
            return writes
        for write in turns:
            self._subscriptions.has_set(write.peer, write.method, taken=True)
        return [write for write in writes if not write.method.together]

    def _write(self, write: PendingWrite[P]) -> None:
        try:
            write.method.write(write.checked)
            self._subscriptions.has_set(write.peer, write.method, taken=True)
        except Exception as error:  # what plays is foreign code
            self._fault(error, write.method.path)

    def _subscribe(self, message: Message, peer: P, now: float) -> None:
        rate, target = USUAL_HZ, peer
        if message.types:
            rate = arguments.number(Message(message.address, message.types[:1], message.arguments[:1]))
        if message.types[1:]:
            target = self._at_port(message, peer)
        self._subscriptions.add(peer, target, message.address.startswith(NORMALISED), rate, now)
        self._send(encode(f"{ROOT}/subscribed", (rate, LIFETIME_S)), target)

    def _unsubscribe(self, message: Message, peer: P, now: float) -> None:
        self._subscriptions.remove(self._at_port(message, peer) if message.types else peer)

    def _at_port(self, message: Message, peer: P) -> P:
        """Return the peer at the port that the message's last argument names."""
        port = message.arguments[-1]
        if not self._redirect or message.types[-1] not in "if" or port not in range(1, 65_536):
            raise arguments.mistyped(message, "a port from 1 to 65535 as the last argument, over UDP only")
        return self._redirect(peer, int(port))

    def _errors(self, message: Message, peer: P, now: float) -> None:
        counts = sorted(self._space.errors.counts.items())
        self._send(encode(message.address, [part for pair in counts for part in pair]), peer)

    def _send(self, packet: bytes, peer: P) -> None:
        if len(self.outgoing) < _MOST_OUTGOING:
            self.outgoing.append((packet, peer))
        else:
            self._space.errors.add("answer dropped", f"more than {_MOST_OUTGOING} answers wait")

    def _fault(self, error: Exception, about: str) -> None:
        if isinstance(error, RefusedError):
            self._space.errors.add(error.kind, str(error), about=about)
        elif isinstance(error, ParameterError | PresetError):
            self._space.errors.add("refused value", f"{about}: {error}", about=about)
        else:
            self._space.errors.add("internal", f"{about}: {type(error).__name__}: {error}", about=about)
