"""The message dispatcher: OSC packets of peers in; parameters set, and packets for peers out. It has no sockets.

A peer is what packets come from and replies go to: a UDP address, a WebSocket.

The bundle scheduler: messages that are not due yet, ordered by time; other messages do not wait for them.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from gramophone.models.parameters import ParameterError
from gramophone.presets import PresetError
from gramophone.realtime.control.osc.address_space import NORMALISED, ROOT, AddressSpace
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.control.osc.parameter_page import REFRESH
from gramophone.realtime.control.osc.peer_news import PeerNews
from gramophone.realtime.control.osc.subscriptions import LIFETIME_S, USUAL_HZ, Subscriptions, View
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Bundle, Message, PacketError, decode, due_at, encode

_P = TypeVar("_P")

HORIZON_S = 600.0
_MOST_WAITING = 20_000


class BundleScheduler(Generic[_P]):
    """Messages by the time at which they are due, in seconds since 1970; those of the same time keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Message, _P]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> float | None:
        """When the next message is due; None when none waits."""
        return self._heap[0][0] if self._heap else None

    def put(self, due: float, message: Message, peer: _P) -> None:
        """Hold a message.

        Raises:
            RefusedError: too many wait.
        """
        if len(self._heap) >= _MOST_WAITING:
            raise RefusedError("too many waiting", f"more than {_MOST_WAITING} messages wait for their time")
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, message, peer))

    def due(self, wall_s: float) -> list[tuple[Message, _P]]:
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


P = TypeVar("P")

Redirect = Callable[[P, int], P]
"""From a peer and a port, the peer at that port of the same host."""

_VIEWS: dict[str, View] = {
    f"{ROOT}/subscribe": "values",
    f"{NORMALISED}/subscribe": "normalised",
    REFRESH: "page",
}
"""What a subscriber at each of these addresses is sent."""
_MOST_OUTGOING = 10_000
_PRESET_POLL_S = 0.005
"""How often to ask whether a preset change is done that messages wait for."""


class PendingWrite(NamedTuple, Generic[P]):
    """A method, the checked value to write, and the peer that sent it."""

    method: OscMethod
    checked: Any
    peer: P


class PendingWrites(Generic[P]):
    """Of all checked values, the newest for each key, in the order in which the newest came.

    A flood to one address then costs one write, and no newest value is lost, whatever comes between. A change of preset
    sets all parameters, so writes before it need not be done.
    """

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


class Dispatcher(Generic[P]):
    """Passes messages of peers to the methods of an address space, and replies back. One thread at a time.

    `receive` takes packets in, `advance` does what is due; both take the time in seconds on a clock that only runs
    forwards. `wall` is the clock that time tags mean. Whatever comes, neither raises.
    """

    def __init__(
        self, space: AddressSpace, redirect: Redirect[P] | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self.outgoing: deque[tuple[bytes, P]] = deque()
        self._space, self._redirect, self._wall = space, redirect, wall
        self._pending: PendingWrites[P] = PendingWrites()
        self._scheduler: BundleScheduler[P] = BundleScheduler()
        self._subscriptions: Subscriptions[P] = Subscriptions(space)
        self._news: PeerNews[P] = PeerNews(space.notices)
        self._own: dict[str, Callable[[Message, P, float], None]] = {
            **dict.fromkeys(_VIEWS, self._subscribe),
            f"{ROOT}/unsubscribe": self._unsubscribe,
            f"{ROOT}/errors": self._errors,
        }

    def receive(self, data: bytes, peer: P, now: float) -> None:
        """Take in a packet: what is due waits for `advance`, where only the newest for each parameter counts."""
        try:
            packet = decode(data)
            if isinstance(packet, Message):
                self._process(packet, peer, now)
                return
            wall_s = self._wall()
            timed = timed_messages(packet, wall_s)
            for due, message in timed:
                if due > wall_s:
                    self._scheduler.put(due, message, peer)
            self._process_all([(message, peer) for due, message in timed if due <= wall_s], now)
        except PacketError as error:
            self.refuse(RefusedError("malformed", str(error)), str(peer), peer, now)
        except RefusedError as error:
            self.refuse(error, "", peer, now)

    def advance(self, now: float) -> None:
        """Write what waits and what has become due, reply, and send to the subscribers."""
        self._process_all(self._scheduler.due(self._wall()), now)
        self._write_pending(now)
        for peer, news in self._news.due(now):
            self._send_news(news, peer)
        try:
            for peer, packet in self._subscriptions.tick(now):
                self._send(packet, peer)
        except Exception as error:  # meters are other people's code
            self._count(error, "subscription")

    def wait_s(self, now: float) -> float | None:
        """Return how long nothing will be due; None for ever."""
        if self._pending or self.outgoing:
            return 0.0
        waits = []
        if self._scheduler.next_due is not None:
            waits.append(self._scheduler.next_due - self._wall())
        if self._pending.holds_messages:
            waits.append(_PRESET_POLL_S)
        for at in (self._subscriptions.next_at, self._news.next_at(now)):
            if at is not None:
                waits.append(at - now)
        return max(min(waits), 0.0) if waits else None

    def forget(self, peer: P) -> None:
        """End the subscriptions of a peer that has gone, and tell it nothing more."""
        self._subscriptions.remove(peer)
        self._news.forget(peer)

    def refuse(self, error: Exception, about: str, peer: P, now: float) -> None:
        """Count an error about an address, and tell the peer that caused it, at `/gramophone/news`.

        What comes to that address is itself an answer, another program's: answering it, two could go on for ever.
        """
        sentence = self._count(error, about)
        if about != self._space.notices.path:
            news = self._news.refuse(peer, sentence, now)
            if news:
                self._send_news(news, peer)

    def _process_all(self, messages: list[tuple[Message, P]], now: float) -> None:
        """Process the messages of a bundle: queries among them are answered when all values are set."""
        for message, peer in sorted(messages, key=lambda each: self._is_query(each[0])):
            self._process(message, peer, now)

    def _is_query(self, message: Message) -> bool:
        method = self._space.methods.get(message.address)
        return message.address in self._own or (not message.types and (method is None or method.readable))

    def _process(self, message: Message, peer: P, now: float) -> None:
        try:
            if message.address in self._own:
                self._write_pending(now)
                self._own[message.address](message, peer, now)
            elif message.types and (self._pending.changes_parameters or self._space.changing):
                self._process_behind(message, peer)
            else:
                self._apply(message, peer, now)
        except Exception as error:
            self.refuse(error, message.address, peer, now)

    def _process_behind(self, message: Message, peer: P) -> None:
        """While a preset change waits or is under way: check what changes it again now, all else behind the change."""
        method = self._space.methods.get(message.address)
        if method and method.changes_parameters:
            self._pending.put(PendingWrite(method, method.check(message), peer))
        else:
            self._pending.put_behind(message, peer)

    def _apply(self, message: Message, peer: P, now: float) -> None:
        methods = self._space.find(message.address)
        if not message.types and methods[0].readable:
            self._write_pending(now)
            for method in self._space.find(message.address):
                self._send(encode(method.path, method.read()), peer)
            return
        for method in methods:
            self._put(method, message._replace(address=method.path), peer, now)

    def _put(self, method: OscMethod, message: Message, peer: P, now: float) -> None:
        try:
            checked = method.check(message)
            if checked is not None:
                self._pending.put(PendingWrite(method, checked, peer))
        except RefusedError as error:
            self._subscriptions.has_set(peer, method, taken=False)
            self.refuse(error, method.path, peer, now)

    def _write_pending(self, now: float) -> None:
        while self._pending or (self._pending.holds_messages and not self._space.changing):
            writes, behind = self._pending.take()
            for write in self._write_together(writes):
                self._write(write, now)
            for message, peer in behind:
                self._process(message, peer, now)

    def _write_together(self, writes: list[PendingWrite[P]]) -> list[PendingWrite[P]]:
        """Set at once what can be, so that a whole bundle takes effect in the same block; return the rest."""
        together = [write for write in writes if write.method.together]
        if len(together) < 2:
            return writes
        try:
            self._space.apply([write.checked for write in together])
        except Exception:  # one of them is refused: set each alone, to find out which
            return writes
        for write in together:
            self._subscriptions.has_set(write.peer, write.method, taken=True)
        return [write for write in writes if not write.method.together]

    def _write(self, write: PendingWrite[P], now: float) -> None:
        method, checked, peer = write
        if method.takes_a_while and not self._subscriptions.targets(peer):
            self._news.expect(peer, now)  # before: a thread may have done it by the time that `write` returns
        try:
            method.write(checked)
            self._subscriptions.has_set(peer, method, taken=True)
        except Exception as error:  # stages may be other people's code
            self._subscriptions.has_set(peer, method, taken=False)
            self.refuse(error, method.path, peer, now)

    def _subscribe(self, message: Message, peer: P, now: float) -> None:
        rate, target = USUAL_HZ, peer
        if message.types:
            rate = arguments.number(Message(message.address, message.types[:1], message.arguments[:1]))
        if message.types[1:]:
            target = self._at_port(message, peer)
        self._subscriptions.add(peer, target, _VIEWS[message.address], rate, now)
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

    def _send_news(self, news: tuple[int, str], peer: P) -> None:
        """Send to where the peer has its values sent, or else to the peer itself."""
        packet = encode(self._space.notices.path, news)
        for target in self._subscriptions.targets(peer) or {peer}:
            self._send(packet, target)

    def _count(self, error: Exception, about: str) -> str:
        """Count an error and return it as a sentence for the network, which names no folders."""
        if isinstance(error, RefusedError):
            self._space.errors.add(error.kind, str(error), about=about)
            return str(error)
        if isinstance(error, ParameterError | PresetError):
            self._space.errors.add("refused value", f"{about}: {error}", about=about)
        else:
            self._space.errors.add("internal", f"{about}: {type(error).__name__}: {error}", about=about)
        return f"{about}: {error}" if isinstance(error, ParameterError) else f"{about} failed; the terminal says why"
