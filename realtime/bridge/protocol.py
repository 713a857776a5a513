"""The protocol between the plug-in and its engine process: `native/protocol.hpp` in Python.

The plug-in starts the engine with one end of a Unix stream socket, and with two rings of numbered blocks in shared
memory. Both sides send frames: a type, a size and a payload. The plug-in begins with a hello; what follows are numbers,
each with a type of its own, and texts. All numbers are little-endian.
"""

from __future__ import annotations

import math
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

MAGIC = 0x4D415247
VERSION = 4
PARAMETERS = 16
"""That the host sets."""
LARGEST_PAYLOAD = 16 << 20
"""Bytes."""
SLOTS, LONGEST = 256, 4096
"""Blocks in a ring, and the longest in frames."""

_HEADER = struct.Struct("<II")
_NUMBER = struct.Struct("<d")
_HELLO = struct.Struct("<IIII")


class ProtocolError(ValueError):
    """A peer does not keep to the protocol; the message says what came and what was expected."""


class FrameType(IntEnum):
    """What a frame holds: below `LABEL` a number. Parameters have their index as type, those of the host below 16."""

    OFFLINE = 16
    PAGE = 17
    TEMPO = 18
    RATE = 19
    BLOCK = 20
    BOUNCE = 21
    DONE = 22
    BLOCKS = 23
    DELAY = 24
    SAVE = 25
    LABEL = 32
    STATE = 64
    MESSAGE = 65
    HELLO = 66


@dataclass(frozen=True)
class HostFormat:
    """What the host plays: `rate` in Hz, `block` the longest block in frames.

    Raises:
        ProtocolError: no audio is like that.
    """

    rate: float
    block: int

    def __post_init__(self) -> None:
        if not 1.0 <= self.rate <= 1e6 or not 1 <= self.block <= LONGEST:
            raise ProtocolError(f"{self.rate} Hz in blocks of {self.block}: expected an audio format")


def pack(value: float | str | bytes) -> bytes:
    """Return a number or a text as a payload."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return value if isinstance(value, bytes) else _NUMBER.pack(value)


def unpack(kind: int, payload: bytes) -> float | str:
    """Return the number or the text in a payload.

    Raises:
        ProtocolError: it is none.
    """
    if kind >= FrameType.LABEL:
        try:
            return payload.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"type {kind}: {error}: expected UTF-8") from None
    if len(payload) != _NUMBER.size:
        raise ProtocolError(f"type {kind}: {len(payload)} bytes: expected {_NUMBER.size}")
    number = float(_NUMBER.unpack(payload)[0])
    if not math.isfinite(number):
        raise ProtocolError(f"type {kind}: {number}: expected a finite number")
    return number


def send(connection: socket.socket, kind: int, value: float | str | bytes) -> None:
    """Send one frame."""
    payload = pack(value)
    connection.sendall(_HEADER.pack(kind, len(payload)) + payload)


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


def hello(channels: int) -> bytes:
    """Return what the plug-in sends first, header and payload."""
    return _HEADER.pack(FrameType.HELLO, _HELLO.size) + _HELLO.pack(MAGIC, VERSION, channels, 0)


def receive_hello(connection: socket.socket) -> int | None:
    """Return the plug-in's channels; None at the end of the stream.

    Raises:
        ProtocolError: it is no hello of this version.
    """
    whole = connection.recv(_HEADER.size + _HELLO.size, socket.MSG_WAITALL)
    if not whole:
        return None
    try:
        kind, _, magic, version, channels, _ = struct.unpack("<6I", whole)
    except struct.error:
        kind = magic = version = channels = 0
    if (kind, magic, version) != (FrameType.HELLO, MAGIC, VERSION) or channels not in (1, 2):
        raise ProtocolError(
            "engine and plug-in speak other versions of the protocol: run `gramophone bridge install` again"
        )
    return int(channels)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 16))
        if not part:
            return None
        parts += part
    return bytes(parts)
