"""The engine's end of the socket: requests of the host come in, shared memory and state go out."""

from __future__ import annotations

import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

from gramophone.realtime.bridge import protocol
from gramophone.realtime.bridge.protocol import FrameType, Order, ParameterChange, RingPlace


class BridgeLink:
    """The connection to the plug-in. Any thread may send; one reads `orders`."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()

    def end_process_after_hangup(self, seconds: int) -> None:
        """Let the system end this process so many seconds after the plug-in has gone, whatever it waits for then."""

        def watch() -> None:
            hangup = select.poll()
            hangup.register(self._socket, select.POLLRDHUP)
            hangup.poll()
            signal.alarm(seconds)  # its default action needs neither the interpreter nor any lock

        threading.Thread(target=watch, name="hangup", daemon=True).start()

    def greet(self, inputs: tuple[RingPlace, int], outputs: tuple[RingPlace, int], wake: int) -> None:
        """Send the hello: both rings with their memory's descriptors, and the descriptor that wakes the engine."""
        with self._lock:
            protocol.send(
                self._socket, FrameType.HELLO, protocol.hello(inputs[0], outputs[0]), (inputs[1], outputs[1], wake)
            )

    def orders(self) -> Iterator[Order]:
        """Yield the plug-in's requests until it disconnects. Frames of unknown types are left out.

        Raises:
            ProtocolError: it does not keep to the protocol.
        """
        while (frame := self._receive()) is not None:
            order = protocol.order(*frame)
            if order is not None:
                yield order

    def announce(self, delay: int, blocks: int) -> None:
        """Report that the engine plays: its chain's latency `delay` in samples, and its time in blocks."""
        self._send(FrameType.READY, protocol.ready(delay, blocks))

    def confirm(self, sequence: int) -> None:
        """Report that all changes up to `sequence` are in effect from the next block on."""
        self._send(FrameType.DONE, protocol.done(sequence))

    def set_parameter(self, index: int, value: float) -> None:
        """Send the host a parameter's value."""
        self._send(FrameType.PARAMETER, ParameterChange(index, value).pack())

    def name_parameter(self, index: int, text: str) -> None:
        """Send the host what a parameter stands for; an empty text where it stands for nothing."""
        self._send(FrameType.LABEL, protocol.label(index, text))

    def keep(self, state: str) -> None:
        """Send the host the state that its project stores."""
        self._send(FrameType.STATE, state.encode("utf-8"))

    def notify(self, message: str) -> None:
        """Send a sentence for people."""
        self._send(FrameType.MESSAGE, message.encode("utf-8", "replace"))

    def close(self) -> None:
        """Hang up; whoever reads `orders` comes to their end."""
        with suppress(OSError):  # the plug-in may have hung up already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self) -> tuple[int, bytes] | None:
        try:
            return protocol.receive(self._socket)
        except OSError:
            return None

    def _send(self, kind: FrameType, payload: bytes) -> None:
        with suppress(OSError), self._lock:  # where it has gone `orders` ends, and with it the engine
            protocol.send(self._socket, kind, payload)
