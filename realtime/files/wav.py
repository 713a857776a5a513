"""Writing WAV as 32-bit float, RF64 (EBU Tech 3306) beyond 4 GB, with the chunks that players and editors need."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from gramophone.realtime.files.output import OutputFile
from gramophone.realtime.stage import Audio

_LIMIT = 0xFFFFFFFF
_FLOAT, _EXTENSIBLE = 3, 0xFFFE
_FLOAT_GUID = bytes.fromhex("0300000000001000800000aa00389b71")


class WavWriter:
    """A WAV being written to `file` at `rate` Hz: its header now, sound block by block, lengths when it is closed.

    `chunks` are names and contents that stand before the sound; `channel_mask` numbers the speakers, 0: not said.
    Where it `may_be_long`, room is left to make it an RF64.
    """

    def __init__(
        self,
        file: OutputFile,
        rate: int,
        channels: int,
        chunks: Sequence[tuple[bytes, bytes]] = (),
        channel_mask: int = 0,
        may_be_long: bool = True,
    ) -> None:
        self._file = file
        self._channels = channels
        self.frames = 0
        frame = channels * 4
        kind = _EXTENSIBLE if channel_mask else _FLOAT
        form = struct.pack("<HHIIHH", kind, channels, rate, rate * frame & _LIMIT, frame, 32)
        form += struct.pack("<HHI", 22, 32, channel_mask) + _FLOAT_GUID if channel_mask else b"\0\0"
        header = b"RIFF\0\0\0\0WAVE"
        header += _chunk(b"JUNK", bytes(28)) if may_be_long else b""  # the place of the 64-bit lengths
        header += _chunk(b"fmt ", form) + _chunk(b"fact", bytes(4))
        self._fact = len(header) - 4
        header += b"".join(_chunk(name, content) for name, content in chunks)
        self._start = len(header) + 8
        file.write(header + b"data\0\0\0\0")

    def write(self, block: Audio) -> None:
        """Append a block, `(channels, frames)`."""
        if block.shape[0] != self._channels:
            raise ValueError(f"a block of {block.shape[0]} channels; expected {self._channels}")
        self._file.write(np.ascontiguousarray(block.T, "<f4").data)
        self.frames += block.shape[1]

    def close(self) -> None:
        """Write the lengths."""
        size = self.frames * self._channels * 4
        riff = self._start + size - 8
        if riff > _LIMIT:
            ds64 = b"ds64" + struct.pack("<IQQQI", 28, riff, size, self.frames, 0)
            self._put(0, b"RF64" + struct.pack("<I", _LIMIT) + b"WAVE" + ds64)
        else:
            self._put(4, struct.pack("<I", riff))
        self._put(self._fact, struct.pack("<I", min(self.frames, _LIMIT)))
        self._put(self._start - 4, struct.pack("<I", _LIMIT if riff > _LIMIT else size))

    def _put(self, at: int, content: bytes) -> None:
        self._file.seek(at)
        self._file.write(content)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
