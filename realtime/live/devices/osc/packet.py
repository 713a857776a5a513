"""Sound in OSC messages: a block of samples as a blob, numbered, with all that is needed to play it.

    /gramophone/audio/in ,iiiib  stream  number  rate  channels  samples

`stream` names an unbroken run of blocks, `number` counts them modulo 2^32, `rate` is in Hz. `samples` are 32-bit
floats, big-endian like every number in OSC, one channel after the other.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from gramophone.realtime.osc.arguments import mistyped
from gramophone.realtime.osc.error_log import RefusedError
from gramophone.realtime.osc.packet import Bundle, PacketError, decode
from gramophone.realtime.stage import Audio

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
