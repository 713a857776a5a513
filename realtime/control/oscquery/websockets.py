"""The room: the WebSocket clients that are connected, each with a queue of what it is to be sent.

All live in one asyncio loop. A client that does not read is let go rather than waited for.
"""

from __future__ import annotations

import asyncio
import time

from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.control.oscquery.listen import ListenState
from gramophone.realtime.osc.error_log import RefusedError

Frame = str | bytes

MOST_CLIENTS = 32
_MOST_QUEUED = 2_000
_TELL_EVERY_S = 1 / 30


class WebSocketClient:
    """One connected client: `queue` holds the frames to be sent; when `left` is set, its connection is to end."""

    def __init__(self, talk: ListenState) -> None:
        self.talk = talk
        self.queue: asyncio.Queue[Frame] = asyncio.Queue(_MOST_QUEUED)
        self.left = asyncio.Event()

    def __str__(self) -> str:
        return "a WebSocket"

    def send(self, frame: Frame) -> None:
        """Let a frame wait to be sent, or end the connection where too many wait."""
        try:
            self.queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.left.set()


class WebSocketClients:
    """The clients, and the conversation that they share."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._dispatcher: Dispatcher[WebSocketClient] = Dispatcher(space)
        self._clients: set[WebSocketClient] = set()
        self._woken = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether nobody else can come in."""
        return len(self._clients) >= MOST_CLIENTS

    def enter(self) -> WebSocketClient:
        """Return a new client."""
        client = WebSocketClient(ListenState(self._space))
        self._clients.add(client)
        self._woken.set()
        return client

    def leave(self, client: WebSocketClient) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self._dispatcher.forget(client)

    def close(self) -> None:
        """End all connections."""
        for client in self._clients:
            client.left.set()

    def hear(self, client: WebSocketClient, frame: Frame) -> None:
        """Take in a frame: text is a command of OSCQuery, binary is an OSC packet."""
        if isinstance(frame, bytes):
            self._dispatcher.receive(frame, client, time.monotonic())
            self._deliver()  # now: the answers to one who asks without end are not to crowd out another's
        else:
            try:
                client.talk.command(frame)
            except RefusedError as error:
                self._space.errors.add(error.kind, str(error))
        self._woken.set()

    async def run(self) -> None:
        """Do what clients ask for and tell them what is new, for ever."""
        tell_at = 0.0
        while True:
            now = time.monotonic()
            self._dispatcher.advance(now)
            self._deliver()
            if now >= tell_at:
                tell_at = now + _TELL_EVERY_S
                self._tell()
            await self._pause(tell_at)

    async def _pause(self, tell_at: float) -> None:
        now = time.monotonic()
        due = self._dispatcher.wait_s(now)
        waits = [wait for wait in (due, max(tell_at - now, 0.0) if self._clients else None) if wait is not None]
        try:
            await asyncio.wait_for(self._woken.wait(), min(waits, default=None))
        except TimeoutError:
            return
        self._woken.clear()

    def _deliver(self) -> None:
        outgoing = self._dispatcher.outgoing
        while outgoing:
            packet, client = outgoing.popleft()
            client.send(packet)

    def _tell(self) -> None:
        for client in self._clients:
            try:
                for frame in client.talk.news():
                    client.send(frame)
            except Exception as error:  # meters are foreign code
                self._space.errors.add("internal", f"{type(error).__name__}: {error}")
