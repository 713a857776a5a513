"""Sound in OSC messages: a block of samples as a blob, numbered, with all that is needed to play it.

    /gramophone/audio/in ,iiiib  stream  number  rate  channels  samples

`stream` names an unbroken run of blocks, `number` counts them modulo 2^32, `rate` is in Hz. `samples` are 32-bit
floats, big-endian like every number in OSC, one channel after the other.

What follows `--audio osc:`, word by word: where to listen, which peers are allowed, and where the results go.

osc:9002,jitter=3,to=127.0.0.1:9003,host=0.0.0.0,allow=192.168.1.0/24
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gramophone.realtime.live.devices.backend import AudioError
from gramophone.realtime.osc.arguments import RefusedError, mistyped
from gramophone.realtime.osc.packet import Bundle, PacketError, decode
from gramophone.realtime.stage import Audio

PORT = 9002
_JITTER = 2
_MOST_JITTER = 64
_LAST_PORT = 65_535
_EXPECTED = "osc[:PORT][,jitter=BLOCKS][,to=HOST:PORT][,host=ADDRESS][,allow=PEER]"


@dataclass(frozen=True)
class OscAudioChoice:
    """The UDP port (0: any free one) and address to listen on, and the peers allowed beyond this machine.

    `jitter`: blocks held back to wait for late ones. `to`: where results go; None: to the sender.
    """

    port: int = PORT
    host: str = "127.0.0.1"
    allow: tuple[str, ...] = ()
    jitter: int = _JITTER
    to: tuple[str, int] | None = None


def parse_choice(text: str) -> OscAudioChoice:
    """Return what `text`, which followed `osc:`, asks for.

    Raises:
        AudioError: it cannot be understood.
    """
    port, *words = text.split(",")
    found: dict[str, list[str]] = {"jitter": [], "to": [], "host": [], "allow": []}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in found or not equals:
            raise AudioError(f"audio osc: {word!r}: expected {_EXPECTED}")
        found[key].append(value)
    return OscAudioChoice(
        _number(port, _LAST_PORT) if port else PORT,
        found["host"][-1] if found["host"] else OscAudioChoice.host,
        tuple(found["allow"]),
        _number(found["jitter"][-1], _MOST_JITTER) if found["jitter"] else _JITTER,
        _peer(found["to"][-1]) if found["to"] else None,
    )


def reachable(choice: str, host: str, allow: Iterable[str]) -> str:
    """Return `choice`, `osc` with or without what follows it, with where to listen and the peers allowed."""
    kind, _, words = choice.partition(":")
    return f"{kind}:{','.join((words, f'host={host}', *(f'allow={peer}' for peer in allow)))}"


def _number(text: str, largest: int) -> int:
    if not text.isdecimal() or int(text) > largest:
        raise AudioError(f"audio osc: {text!r}: expected a number from 0 to {largest} ({_EXPECTED})")
    return int(text)


def _peer(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise AudioError(f"audio osc: to={text}: expected HOST:PORT")
    return host.strip("[]"), _number(port, _LAST_PORT)


TO_US, FROM_US = "/gramophone/audio/in", "/gramophone/audio/out"
NUMBERS = 1 << 32
"""So many numbers there are, for blocks and for streams."""

_TYPES = "iiiib"
_RATES = range(8_000, 384_001)
_SAMPLE = np.dtype(">f4")


class SoundBlock(NamedTuple):
    """A block of a stream: its number, the rate in Hz, and the sound `(channels, frames)`."""

    stream: int
    number: int
    rate: int
    sound: Audio


def decode_sound(data: bytes, most_channels: int, longest: int) -> SoundBlock:
    """Return the block that a packet to `TO_US` holds, of at most so many channels and frames.

    Raises:
        RefusedError: it holds something else; nothing of it may be used.
    """
    try:
        message = decode(data)
    except PacketError as error:
        raise RefusedError("malformed", str(error)) from None
    if isinstance(message, Bundle):
        raise RefusedError("malformed", f"a bundle: expected one message to {TO_US}")
    if message.address != TO_US:
        raise RefusedError("unknown address", f"{message.address}: expected {TO_US}")
    if message.types != _TYPES:
        raise mistyped(message, f"type tags {_TYPES}: stream, number, rate, channels, samples")
    stream, number, rate, channels, blob = message.arguments
    if rate not in _RATES:
        raise RefusedError("out of range", f"{TO_US}: rate {rate}: expected {_RATES[0]} to {_RATES[-1]} Hz")
    if not 1 <= channels <= most_channels:
        raise RefusedError("out of range", f"{TO_US}: {channels} channels: expected 1 to {most_channels}")
    frames, rest = divmod(len(blob), _SAMPLE.itemsize * channels)
    if rest or not 1 <= frames <= longest:
        size = f"{len(blob)} bytes for {channels} channels"
        raise RefusedError("out of range", f"{TO_US}: {size}: expected 1 to {longest} samples of 4 bytes for each")
    sound = np.frombuffer(blob, _SAMPLE).astype(np.float32).reshape(channels, frames)
    return SoundBlock(stream % NUMBERS, number % NUMBERS, rate, sound)


def encode_sound(block: SoundBlock, address: str = FROM_US) -> bytes:
    """Return the packet that holds `block`, byte for byte as python-osc builds it.

    It is packed by hand since it is made for every block: 5 us for 2 channels of 128 frames, 47 us by python-osc.
    """
    samples = block.sound.astype(_SAMPLE).tobytes()
    head = struct.pack(">IIIII", block.stream, block.number, block.rate, len(block.sound), len(samples))
    return _text(address) + _text("," + _TYPES) + head + samples


def _text(text: str) -> bytes:
    return text.encode("ascii") + bytes(4 - len(text) % 4)
