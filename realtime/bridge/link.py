"""The engine's end of the socket: what the host sets comes in, what it shows and stores goes out."""

from __future__ import annotations

import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from gramophone.realtime.bridge import protocol
from gramophone.realtime.bridge.protocol import PARAMETERS, FrameType, HostFormat


@dataclass
class HostChanges:
    """All that a host sets at once: parameters by index, its format, the project's state, the tempo in beats a minute.

    None or empty where it has not been set. `bounce`: 1 where the next block is the first of a bounce and comes after
    silence, 2 where the next one with sound is, 0 where a bounce is over. `saves`: the host stores the project now.
    """

    values: dict[int, float] = field(default_factory=dict)
    format: HostFormat | None = None
    state: str = ""
    tempo: float = 0.0
    bounce: int | None = None
    saves: bool = False


class BridgeLink:
    """The connection to the plug-in. Any thread may send; one reads `changes`."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._page = ""
        self._shows_message = False

    def end_process_after_hangup(self, seconds: int) -> None:
        """Let the system end this process so many seconds after the plug-in has gone, whatever it waits for then."""

        def watch() -> None:
            hangup = select.poll()
            hangup.register(self._socket, select.POLLRDHUP)
            hangup.poll()
            signal.alarm(seconds)  # its default action needs neither the interpreter nor any lock

        threading.Thread(target=watch, name="hangup", daemon=True).start()

    def changes(self) -> Iterator[HostChanges]:
        """Yield what the plug-in sets at once, each to be confirmed, until it disconnects. Unknown frames are left out.

        Raises:
            ProtocolError: it does not keep to the protocol.
        """
        numbers: dict[int, float] = {}
        state = ""
        while (frame := self._receive()) is not None:
            kind, payload = frame
            if kind == FrameType.DONE:
                yield _changes(numbers, state)
                numbers, state = {}, ""
            elif kind < FrameType.LABEL:
                numbers[kind] = float(protocol.unpack(kind, payload))
            elif kind == FrameType.STATE:
                state = str(protocol.unpack(kind, payload))

    def announce(self, delay: int, blocks: int) -> None:
        """Report that the engine plays: its chain's latency `delay` in samples, and its time in blocks."""
        self._send(FrameType.BLOCKS, blocks)
        self._send(FrameType.DELAY, delay)
        if self._shows_message:  # by now a person has had time to read it
            self.show_page(self._page)

    def confirm(self) -> None:
        """Report that what was set is in effect from the next block on."""
        self._send(FrameType.DONE, 0.0)

    def set_parameter(self, index: int, value: float) -> None:
        """Send the host a parameter's value."""
        self._send(index, value)

    def name_parameter(self, index: int, text: str) -> None:
        """Send the host what a parameter stands for; an empty text where it stands for nothing."""
        self._send(FrameType.LABEL + index, text)

    def show_page(self, address: str) -> None:
        """Let the host show the address of the control page in place of what was notified last."""
        self._page, self._shows_message = address, False
        self.name_parameter(FrameType.PAGE, address)

    def keep(self, state: str) -> None:
        """Send the host the state that its project stores."""
        self._send(FrameType.STATE, state)

    def notify(self, message: str) -> None:
        """Send a sentence for people: the host's log has it, and the page's address gives way to it."""
        self._shows_message = bool(self._page)
        self._send(FrameType.MESSAGE, message)

    def close(self) -> None:
        """Hang up; whoever reads `changes` comes to their end."""
        with suppress(OSError):  # the plug-in may have hung up already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self) -> tuple[int, bytes] | None:
        try:
            return protocol.receive(self._socket)
        except OSError:
            return None

    def _send(self, kind: int, value: float | str) -> None:
        with suppress(OSError), self._lock:  # where it has gone `changes` ends, and with it the engine
            protocol.send(self._socket, kind, value)


def _changes(numbers: dict[int, float], state: str) -> HostChanges:
    """Return what the frames of a batch set.

    Raises:
        ProtocolError: its format is none.
    """
    values = {index: value for index, value in numbers.items() if index < PARAMETERS}
    form = None
    if FrameType.RATE in numbers:
        form = HostFormat(numbers[FrameType.RATE], round(numbers.get(FrameType.BLOCK, 0)))
    bounce = round(numbers[FrameType.BOUNCE]) if FrameType.BOUNCE in numbers else None
    return HostChanges(values, form, state, numbers.get(FrameType.TEMPO, 0.0), bounce, FrameType.SAVE in numbers)
