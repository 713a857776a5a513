"""The WebSocket clients that are connected, each with a queue of the frames that it is to be sent.

All run in one asyncio loop. A client that does not read is disconnected rather than waited for.
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
_UPDATE_EVERY_S = 1 / 30


class WebSocketClient:
    """One connected client: `queue` holds the frames to be sent; once `closing` is set, its connection is to end."""

    def __init__(self, listening: ListenState) -> None:
        self.listening = listening
        self.queue: asyncio.Queue[Frame] = asyncio.Queue(_MOST_QUEUED)
        self.closing = asyncio.Event()

    def __str__(self) -> str:
        return "a WebSocket"

    def send(self, frame: Frame) -> None:
        """Queue a frame to be sent, or end the connection if too many wait."""
        try:
            self.queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.closing.set()


class WebSocketClients:
    """All clients, and the message dispatcher that they share."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._dispatcher: Dispatcher[WebSocketClient] = Dispatcher(space)
        self._clients: set[WebSocketClient] = set()
        self._woken = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether no other client can connect."""
        return len(self._clients) >= MOST_CLIENTS

    def add(self) -> WebSocketClient:
        """Return a new client."""
        client = WebSocketClient(ListenState(self._space))
        self._clients.add(client)
        self._woken.set()
        return client

    def remove(self, client: WebSocketClient) -> None:
        """Remove a client and its subscriptions."""
        self._clients.discard(client)
        self._dispatcher.forget(client)

    def close(self) -> None:
        """End all connections."""
        for client in self._clients:
            client.closing.set()

    def receive(self, client: WebSocketClient, frame: Frame) -> None:
        """Take in a frame: text is a command of OSCQuery, binary is an OSC packet."""
        if isinstance(frame, bytes):
            self._dispatcher.receive(frame, client, time.monotonic())
            self._deliver()  # now: the replies to one busy client must not delay another's
        else:
            try:
                client.listening.command(frame)
            except RefusedError as error:
                self._space.errors.add(error.kind, str(error))
        self._woken.set()

    async def run(self) -> None:
        """Process what clients send and send them what has changed, for ever."""
        update_at = 0.0
        while True:
            now = time.monotonic()
            self._dispatcher.advance(now)
            self._deliver()
            if now >= update_at:
                update_at = now + _UPDATE_EVERY_S
                self._update()
            await self._pause(update_at)

    async def _pause(self, update_at: float) -> None:
        now = time.monotonic()
        due = self._dispatcher.wait_s(now)
        waits = [wait for wait in (due, max(update_at - now, 0.0) if self._clients else None) if wait is not None]
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

    def _update(self) -> None:
        for client in self._clients:
            try:
                for frame in client.listening.updates():
                    client.send(frame)
            except Exception as error:  # meters are other people's code
                self._space.errors.add("internal", f"{type(error).__name__}: {error}")
