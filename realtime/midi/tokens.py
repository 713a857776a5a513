"""From a stream of bytes to whole MIDI messages, whatever comes.

mido's tokenizer knows no running status, drops a message that a clock byte interrupts (MIDI 1.0 allows both) and keeps
all of a system-exclusive message; this one does better and counts what it cannot use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_VOICE_DATA = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0}
_SYSEX, _SYSEX_END = 0xF0, 0xF7
_UNDEFINED_REALTIME = (0xF9, 0xFD)


class Tokenizer:
    """Cuts bytes into messages, each with its status byte; system-exclusive ones are skipped at no cost in memory.

    `errors` counts messages cut short, stray data and undefined status bytes.
    """

    def __init__(self) -> None:
        self.errors = 0
        self._forget()

    def stream(self, data: Iterable[int]) -> Iterator[bytes]:
        """Yield the messages that `data`, the next bytes of a stream, completes."""
        for byte in data:
            yield from self._byte(byte & 0xFF)

    def packet(self, data: Iterable[int]) -> Iterator[bytes]:
        """Yield the messages in `data`, whole ones as operating systems hand them over."""
        self._forget()
        yield from self.stream(data)
        self._cut_short()

    def _forget(self) -> None:
        self._message = bytearray()
        self._missing = 0
        self._running = 0
        self._in_sysex = False

    def _byte(self, byte: int) -> Iterator[bytes]:
        if byte >= 0xF8:
            if byte in _UNDEFINED_REALTIME:
                self.errors += 1
            else:
                yield bytes((byte,))
        elif byte >= 0x80:
            yield from self._status(byte)
        elif not self._in_sysex:
            yield from self._data(byte)

    def _status(self, status: int) -> Iterator[bytes]:
        if status == _SYSEX_END and self._in_sysex:
            self._in_sysex = False
            return
        self._cut_short()
        self._running = status if status < 0xF0 else 0
        self._in_sysex = status == _SYSEX
        if status < 0xF0:
            self._begin(status, _VOICE_DATA[status & 0xF0])
        elif status in _SYSTEM_DATA:
            self._begin(status, _SYSTEM_DATA[status])
            if not self._missing:
                yield self._done()
        elif status != _SYSEX:
            self.errors += 1

    def _data(self, byte: int) -> Iterator[bytes]:
        if not self._message:
            if not self._running:
                self.errors += 1
                return
            self._begin(self._running, _VOICE_DATA[self._running & 0xF0])
        self._message.append(byte)
        self._missing -= 1
        if not self._missing:
            yield self._done()

    def _begin(self, status: int, missing: int) -> None:
        self._message = bytearray((status,))
        self._missing = missing

    def _done(self) -> bytes:
        message, self._message = bytes(self._message), bytearray()
        return message

    def _cut_short(self) -> None:
        if self._in_sysex or self._message:
            self.errors += 1
        self._message, self._in_sysex = bytearray(), False
