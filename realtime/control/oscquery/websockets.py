"""The WebSocket clients that are connected, each with a queue of the frames that it is to be sent.

All run in one asyncio loop. A client that does not read is disconnected rather than waited for.

One WebSocket client's side of OSCQuery: LISTEN and IGNORE in, values and PATH_CHANGED out. It has no sockets.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

from gramophone.models.parameters import ParameterError
from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.control.osc.method import Answer
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import encode

_LONGEST_COMMAND = 4096


class ListenState:
    """The addresses that one client listens to, and the values that it was sent last."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._layout = space.layout
        self._sent: dict[str, Answer] = {}

    def command(self, text: str) -> None:
        """Take in a command, a JSON object with COMMAND and DATA.

        Raises:
            RefusedError: it is no command, or its path has no value to listen to.
        """
        command, path = _read(text)
        if command == "LISTEN":
            method = self._space.methods.get(path)
            if not method or not method.readable:
                raise RefusedError("unknown address", f"LISTEN {path[:80]}: there is no value at this address")
            self._sent.setdefault(path, ())
        elif command == "IGNORE":
            self._sent.pop(path, None)
        else:
            raise RefusedError("malformed", f"WebSocket command {command[:40]!r}: expected LISTEN or IGNORE")

    def updates(self) -> Iterator[str | bytes]:
        """Yield the frames that the client is to be sent now: JSON as text, OSC as binary."""
        layout = self._space.layout
        methods = self._space.methods
        if layout != self._layout:
            self._layout = layout
            self._sent = {path: sent for path, sent in self._sent.items() if path in methods}
            yield json.dumps({"COMMAND": "PATH_CHANGED", "DATA": "/"})
        for path, sent in self._sent.items():
            try:
                answer = methods[path].read()
            except (KeyError, ParameterError):  # another preset has just come
                continue
            if answer and answer != sent:
                self._sent[path] = answer
                yield encode(path, answer)


def _read(text: str) -> tuple[str, str]:
    try:
        if len(text) > _LONGEST_COMMAND:
            raise ValueError
        document = json.loads(text)
        command, data = document["COMMAND"], document["DATA"]
        if not (isinstance(command, str) and isinstance(data, str)):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RefusedError("malformed", f"WebSocket text {text[:40]!r}: expected COMMAND and DATA") from None
    return command, data


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
        now = time.monotonic()
        if isinstance(frame, bytes):
            self._dispatcher.receive(frame, client, now)
        else:
            try:
                client.listening.command(frame)
            except RefusedError as error:
                self._dispatcher.refuse(error, "", client, now)
        self._deliver()  # now: the replies to one busy client must not delay another's
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
