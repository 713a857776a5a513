"""The protocol between the plug-in and its engine process: `native/protocol.hpp` in Python.

The plug-in starts the engine with one end of a Unix stream socket. Both sides send frames: a type, a size and a
payload. The plug-in begins with its format, its state, what the host has set, and the transport. The engine answers
with a hello that describes two rings of numbered blocks in shared memory, whose descriptors and that of the wake-up are
attached to its header. All numbers are little-endian.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

MAGIC = 0x4D415247
VERSION = 2
PARAMETERS = 16
"""That the host sets."""
PAGE = 17
"""Set by the engine alone: the port of its control page."""
LARGEST_PAYLOAD = 16 << 20
"""Bytes."""

_HEADER = struct.Struct("<II")
_FORMAT = struct.Struct("<dIIII")
_CHANGE = struct.Struct("<If")
_TRANSPORT = struct.Struct("<dII")
_READY = struct.Struct("<II")
_DONE = struct.Struct("<Q")
_LABEL = struct.Struct("<I")
_RING = struct.Struct("<QQQQQQIIII")
_HELLO = struct.Struct("<II")


class ProtocolError(ValueError):
    """A peer does not keep to the protocol; the message says what came and what was expected."""


class FrameType(IntEnum):
    """What a frame holds."""

    FORMAT = 1
    PARAMETER = 2
    STATE = 3
    TRANSPORT = 4
    MESSAGE = 5
    READY = 6
    DONE = 7
    HELLO = 8
    BEGIN = 9
    LABEL = 10


@dataclass(frozen=True)
class HostFormat:
    """What the host plays: `rate` in Hz, `block` the longest block in frames, `channels`, whether it bounces."""

    rate: float
    block: int
    channels: int
    offline: bool

    @staticmethod
    def unpack(payload: bytes) -> HostFormat:
        """Return the format in a payload.

        Raises:
            ProtocolError: it is none.
        """
        rate, block, channels, offline, _ = _unpacked(_FORMAT, payload, "a format")
        if not 1.0 <= rate <= 1e6 or not 1 <= block <= 65536 or not 1 <= channels <= 8:
            raise ProtocolError(f"format: {rate} Hz, blocks of {block}, {channels} channels: expected an audio format")
        return HostFormat(rate, block, channels, bool(offline))


@dataclass(frozen=True)
class ParameterChange:
    """A parameter of the plug-in by index, 0 to 15."""

    index: int
    value: float

    @staticmethod
    def unpack(payload: bytes) -> ParameterChange:
        """Return the change in a payload.

        Raises:
            ProtocolError: it is none.
        """
        change = ParameterChange(*_unpacked(_CHANGE, payload, "a parameter change"))
        if change.index >= PARAMETERS or change.value != change.value:
            raise ProtocolError(f"parameter {change.index} = {change.value}: expected an index below {PARAMETERS}")
        return change

    def pack(self) -> bytes:
        """Return it as a payload."""
        return _CHANGE.pack(self.index, self.value)


@dataclass(frozen=True)
class Transport:
    """The host's transport: `tempo` in beats a minute, and whether it runs."""

    tempo: float
    playing: bool

    @staticmethod
    def unpack(payload: bytes) -> Transport:
        """Return the transport in a payload.

        Raises:
            ProtocolError: it is none.
        """
        tempo, playing, _ = _unpacked(_TRANSPORT, payload, "a transport")
        return Transport(tempo, bool(playing))


@dataclass(frozen=True)
class Begin:
    """The next block is the first of a bounce: it comes after silence."""


@dataclass(frozen=True)
class Sync:
    """The end of what the plug-in has set at once; it waits for `done` with the same number."""

    sequence: int

    @staticmethod
    def unpack(payload: bytes) -> Sync:
        """Return the end in a payload.

        Raises:
            ProtocolError: it is none.
        """
        return Sync(*_unpacked(_DONE, payload, "a sequence number"))


Order = HostFormat | ParameterChange | Transport | Begin | Sync | str
"""A request of the plug-in; a text is the state that the project holds."""


def order(kind: int, payload: bytes) -> Order | None:
    """Return the request in a frame of the plug-in; None where its type is unknown, a later addition.

    Raises:
        ProtocolError: the payload is none of its type.
    """
    return _ORDERS[kind](payload) if kind in _ORDERS else None


def _text(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"state: {error}: expected UTF-8") from None


_ORDERS: dict[int, Callable[[bytes], Order]] = {
    FrameType.FORMAT: HostFormat.unpack,
    FrameType.PARAMETER: ParameterChange.unpack,
    FrameType.TRANSPORT: Transport.unpack,
    FrameType.BEGIN: lambda _: Begin(),
    FrameType.DONE: Sync.unpack,
    FrameType.STATE: _text,
}


@dataclass(frozen=True)
class RingPlace:
    """Where a ring's arrays lie in its shared memory, in bytes; `slots` blocks of `channels` and `longest` frames."""

    size: int
    newest: int
    numbers: int
    frames: int
    delays: int
    sound: int
    slots: int
    channels: int
    longest: int

    def pack(self) -> bytes:
        """Return it as the hello carries it."""
        places = (self.size, self.newest, self.numbers, self.frames, self.delays, self.sound)
        return _RING.pack(*places, self.slots, self.channels, self.longest, 0)


def hello(inputs: RingPlace, outputs: RingPlace) -> bytes:
    """Return what the engine sends first; the descriptors of both memories and the wake-up go with it."""
    return _HELLO.pack(MAGIC, VERSION) + inputs.pack() + outputs.pack()


def ready(delay: int, blocks: int) -> bytes:
    """Return the payload of READY: the chain's latency in samples, and how many blocks of time the engine has."""
    return _READY.pack(delay, blocks)


def label(index: int, text: str) -> bytes:
    """Return the payload of LABEL: what parameter `index` stands for."""
    return _LABEL.pack(index) + text.encode("utf-8", "replace")


def done(sequence: int) -> bytes:
    """Return the payload of DONE: all that was set up to `sequence` is in effect from the next block on."""
    return _DONE.pack(sequence)


def send(connection: socket.socket, kind: FrameType, payload: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send one frame, with open files attached to its header."""
    header = _HEADER.pack(kind, len(payload))
    if descriptors:
        socket.send_fds(connection, [header], list(descriptors))
        header = b""
    connection.sendall(header + payload)


def receive(connection: socket.socket) -> tuple[int, bytes] | None:
    """Return the next frame's type and payload, or None at the end of the stream.

    Raises:
        ProtocolError: the frame is larger than any can be.
    """
    header = _exactly(connection, _HEADER.size)
    if header is None:
        return None
    kind, size = _HEADER.unpack(header)
    if size > LARGEST_PAYLOAD:
        raise ProtocolError(f"a frame of {size} bytes: expected {LARGEST_PAYLOAD} at most")
    payload = _exactly(connection, size)
    return None if payload is None else (kind, payload)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 16))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _unpacked(form: struct.Struct, payload: bytes, what: str) -> tuple:  # type: ignore[type-arg]
    if len(payload) != form.size:
        raise ProtocolError(f"{len(payload)} bytes as {what}: expected {form.size}")
    return form.unpack(payload)
