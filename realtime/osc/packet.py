"""OSC packets: python-osc builds those that are sent, a strict reader checks those that arrive.

The reader starts where the bytes do: `decode` takes a whole datagram or WebSocket frame, from a sender that may be
anything, before other code has looked at it. It exists because python-osc reads leniently: an argument that is cut
short arrives as 0.0, one of an unknown type is left out, and NaN is a number. Here every length, type, padding byte
and number is checked: a packet is either read as its sender meant it or refused with a `PacketError` (OSC 1.0,
http://opensoundcontrol.org/spec-1_0, with the types of 1.1 and the other common ones).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pythonosc.osc_message_builder import OscMessageBuilder

Argument = Any
"""int (i h t), float (f d), bool (T F), str (s S c), bytes (b r m), None (N I), or a tuple of these (an array)."""

Sendable = float | int | bool | str | bytes
"""An argument that `encode` takes."""

_BUNDLE = b"#bundle\0"
_LARGEST = 65_536
_LONGEST_ADDRESS = 255
_MOST_ARGUMENTS = 256
_DEEPEST = 8
_NOT_IN_ADDRESSES = frozenset(" #")
_IMMEDIATELY = 1
_UNIX_EPOCH_S = 2_208_988_800
"""Seconds from the start of NTP time, 1900, to the start of Unix time, 1970."""
_ERA_S = 2.0**32
"""Seconds after which NTP time wraps, for the first time in February 2036."""


class PacketError(ValueError):
    """The bytes are not an OSC packet, or one beyond our limits; the message says what was found and expected."""


class Message(NamedTuple):
    """One message: an address or pattern, the type tags without the comma, and the arguments that they announce."""

    address: str
    types: str
    arguments: tuple[Argument, ...]


class Bundle(NamedTuple):
    """Messages and bundles that belong together, and the 64-bit NTP time tag at which they are due.

    A tag counts seconds since 1900: the upper 32 bits are whole seconds, the lower 32 bits their fraction.
    """

    tag: int
    elements: tuple[Message | Bundle, ...]


def encode(address: str, arguments: Iterable[Sendable] = ()) -> bytes:
    """Return the message to `address`, built by python-osc: float as f, int as i, bool as T or F, str as s, bytes as b.

    Raises:
        BuildError: an int has more than 32 bits, or a text cannot be written as UTF-8.
    """
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument, _tag(argument))
    return builder.build().dgram


def due_at(tag: int, wall_s: float) -> float:
    """Return when a time tag is due in seconds since 1970; 0 for what is due at once. `wall_s` is the time now.

    The count of seconds wraps in February 2036: of the times that a tag may mean, it means the one nearest to now.
    """
    if tag <= _IMMEDIATELY:
        return 0.0
    due = tag / 2**32 - _UNIX_EPOCH_S
    eras = round((wall_s - due) / _ERA_S)
    return due + eras * _ERA_S


def decode(data: bytes) -> Message | Bundle:
    """Return the message or bundle that `data`, a whole packet, holds.

    Raises:
        PacketError: it holds something else; nothing of it may be used.
    """
    if not data or len(data) % 4 or len(data) > _LARGEST:
        raise PacketError(f"{len(data)} bytes: expected a multiple of 4 from 4 to {_LARGEST}")
    return _packet(data, 0)


def _tag(argument: Sendable) -> str:
    if isinstance(argument, bool):
        return "T" if argument else "F"
    if isinstance(argument, str):
        return "s"
    if isinstance(argument, bytes):
        return "b"
    return "i" if isinstance(argument, int) else "f"


def _packet(data: bytes, depth: int) -> Message | Bundle:
    if data[:1] == b"/":
        return _message(data)
    if data[:8] == _BUNDLE:
        return _bundle(data, depth)
    raise PacketError(f"begins with {data[:8]!r}: expected an address beginning with / or #bundle")


def _bundle(data: bytes, depth: int) -> Bundle:
    if depth == _DEEPEST:
        raise PacketError(f"bundles nested more than {_DEEPEST} deep")
    if len(data) < 16:
        raise PacketError(f"bundle of {len(data)} bytes: expected at least 16")
    (tag,) = struct.unpack_from(">Q", data, 8)
    elements = []
    at = 16
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if size <= 0 or size % 4 or size > len(data) - at:
            raise PacketError(f"bundle element of {size} bytes where {len(data) - at} are left")
        elements.append(_packet(data[at : at + size], depth + 1))
        at += size
    return Bundle(tag, tuple(elements))


def _message(data: bytes) -> Message:
    address, at = _string(data, 0, "ascii")
    if len(address) > _LONGEST_ADDRESS or not address.isprintable() or not _NOT_IN_ADDRESSES.isdisjoint(address):
        raise PacketError(f"address {address[:40]!r}: expected at most {_LONGEST_ADDRESS} characters, no spaces or #")
    if at == len(data):  # from a sender older than type tags
        return Message(address, "", ())
    tags, at = _string(data, at, "ascii")
    if tags[:1] != ",":
        raise PacketError(f"{address}: type tags {tags[:20]!r}: expected a comma first")
    if len(tags) > _MOST_ARGUMENTS:
        raise PacketError(f"{address}: {len(tags) - 1} arguments: expected fewer than {_MOST_ARGUMENTS}")
    try:
        arguments, at = _arguments(data, at, tags)
    except struct.error:
        raise PacketError(f"{address}: ends before its arguments ({tags}) do") from None
    if at != len(data):
        raise PacketError(f"{address}: {len(data) - at} bytes behind its arguments ({tags})")
    return Message(address, tags[1:], arguments)


def _arguments(data: bytes, at: int, tags: str) -> tuple[tuple[Argument, ...], int]:
    stack: list[list[Argument]] = [[]]
    for tag in tags[1:]:
        if tag == "[":
            stack.append([])
            if len(stack) > _DEEPEST:
                raise PacketError(f"arrays nested more than {_DEEPEST - 1} deep")
        elif tag == "]":
            if len(stack) == 1:
                raise PacketError(f"type tags {tags}: an array ends that never began")
            array = tuple(stack.pop())
            stack[-1].append(array)
        elif tag in _READERS:
            value, at = _READERS[tag](data, at)
            stack[-1].append(value)
        else:
            raise PacketError(f"type tag {tag!r}: expected one of {' '.join(_READERS)} [ ]")
    if len(stack) > 1:
        raise PacketError(f"type tags {tags}: an array never ends")
    return tuple(stack[0]), at


def _string(data: bytes, at: int, encoding: str) -> tuple[str, int]:
    end = data.find(0, at)
    if end < 0:
        raise PacketError("a text never ends")
    behind = (end | 3) + 1
    if any(data[end:behind]):
        raise PacketError("a text is padded with other than zeros")
    try:
        return data[at:end].decode(encoding), behind
    except UnicodeDecodeError:
        raise PacketError(f"a text is not {encoding}: {data[at:end][:20]!r}") from None


def _text(data: bytes, at: int) -> tuple[str, int]:
    return _string(data, at, "utf-8")


def _blob(data: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from(">i", data, at)
    start, end = at + 4, at + 4 + size
    behind = (end + 3) & ~3
    if size < 0 or behind > len(data):
        raise PacketError(f"blob of {size} bytes where {len(data) - start} are left")
    if any(data[end:behind]):
        raise PacketError("a blob is padded with other than zeros")
    return data[start:end], behind


def _char(data: bytes, at: int) -> tuple[str, int]:
    (code,) = struct.unpack_from(">I", data, at)
    if code > 127:
        raise PacketError(f"character {code}: expected ASCII, 0 to 127")
    return chr(code), at + 4


def _fixed(layout: str) -> Callable[[bytes, int], tuple[Argument, int]]:
    form = struct.Struct(layout)

    def read(data: bytes, at: int) -> tuple[Argument, int]:
        return form.unpack_from(data, at)[0], at + form.size

    return read


def _finite(layout: str) -> Callable[[bytes, int], tuple[float, int]]:
    form = struct.Struct(layout)

    def read(data: bytes, at: int) -> tuple[float, int]:
        (value,) = form.unpack_from(data, at)
        if not math.isfinite(value):
            raise PacketError(f"the number {value}: expected a finite one")
        return value, at + form.size

    return read


def _constant(value: bool | None) -> Callable[[bytes, int], tuple[Argument, int]]:
    return lambda data, at: (value, at)


_READERS: dict[str, Callable[[bytes, int], tuple[Argument, int]]] = {
    "i": _fixed(">i"),
    "f": _finite(">f"),
    "s": _text,
    "b": _blob,
    "h": _fixed(">q"),
    "d": _finite(">d"),
    "t": _fixed(">Q"),
    "S": _text,
    "c": _char,
    "r": _fixed(">4s"),
    "m": _fixed(">4s"),
    "T": _constant(True),
    "F": _constant(False),
    "N": _constant(None),
    "I": _constant(None),
}
