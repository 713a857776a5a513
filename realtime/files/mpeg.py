"""MPEG audio (MP3, MP2): its frames are counted, for its length stands nowhere or in a first frame that may be wrong.

A decoder that is asked for the length of an MP3 without a Xing header works it out from the file's size and the first
frame's bit rate. Here every frame's header is read (ISO/IEC 11172-3, 13818-3), which is exact, and where the file does
not announce the right number, the decoder gets a Xing header that does.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from mmap import mmap
from typing import Self

from gramophone.realtime.files.segments import Link, Piece, SoundFileError

_V1_RATES = (
    (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_V2_RATES = (
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_SAMPLE_RATES = (44100, 48000, 32000)
_DECODER_DELAY = 529
"""Frames that every decoder of layer III is late."""
_JUNK_LIMIT = 1 << 16


@dataclass(frozen=True)
class FrameHeader:
    """What an MPEG frame's four header bytes announce."""

    version: int
    """1, 2, or 3 for MPEG 2.5."""
    layer: int
    rate: int
    """Sample rate in Hz."""
    mono: bool
    size: int
    """Bytes of the frame; 0 for a free format, whose size is not announced."""

    @property
    def samples(self) -> int:
        """Frames of sound that it holds."""
        return 384 if self.layer == 1 else 576 if self.layer == 3 and self.version > 1 else 1152

    @property
    def tag_offset(self) -> int:
        """Where a Xing header begins in it: behind the side information."""
        return 4 + ((17 if self.mono else 32) if self.version == 1 else (9 if self.mono else 17))

    def is_like(self, other: FrameHeader) -> bool:
        """Whether both can be frames of one stream."""
        return (self.version, self.layer, self.rate, self.mono) == (other.version, other.layer, other.rate, other.mono)


def parse_header(header: bytes) -> FrameHeader | None:
    """Return what four bytes announce, None if they are no frame's header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = {3: 1, 2: 2, 0: 3}.get(header[1] >> 3 & 3), 4 - (header[1] >> 1 & 3)
    bit_rate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version is None or layer == 4 or bit_rate == 15 or rate == 3:
        return None
    hertz = _SAMPLE_RATES[rate] >> (version - 1)
    bits = (_V1_RATES if version == 1 else _V2_RATES)[layer - 1][bit_rate] * 1000
    padding = header[2] >> 1 & 1
    if not bits:
        size = 0
    elif layer == 1:
        size = (12 * bits // hertz + padding) * 4
    else:
        size = (72 if layer == 3 and version > 1 else 144) * bits // hertz + padding
    return FrameHeader(version, layer, hertz, header[3] >> 6 == 3, size)


def tag_size(data: mmap, at: int) -> int:
    """Return the size of the ID3v2 tag (id3.org) at a byte; 0 if there is none."""
    header = data[at : at + 10]
    if len(header) < 10 or header[:3] != b"ID3" or any(byte & 0x80 for byte in header[6:10]):
        return 0
    size = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
    return size + (20 if header[5] & 0x10 else 10)


def end_of_sound(data: mmap) -> int:
    """Return where the tags at the end of a file (ID3v1, Lyrics3, APE) begin."""
    end, found = len(data), True
    while found:
        found = False
        if end >= 128 and data[end - 128 : end - 125] == b"TAG":
            end, found = end - 128, True
        if end >= 32 and data[end - 32 : end - 24] == b"APETAGEX":
            size = int.from_bytes(data[end - 20 : end - 16], "little") + (32 if data[end - 9] & 0x80 else 0)
            if 32 <= size <= end:
                end, found = end - size, True
        if end >= 15 and data[end - 9 : end] == b"LYRICS200" and data[end - 15 : end - 9].isdigit():
            size = int(data[end - 15 : end - 9]) + 15
            if size <= end:
                end, found = end - size, True
    return end


def find_frame(data: mmap, start: int, end: int) -> int:
    """Return where the first of three frames in a row begins, -1 if there are none near `start`."""
    at = start
    limit = min(start + _JUNK_LIMIT, end)
    while (at := data.find(b"\xff", at, limit)) >= 0:
        first = parse_header(data[at : at + 4])
        if first and first.size and _follows(data, at, first, end):
            return at
        if first and not first.size and first.layer == 3 and at == start:
            raise SoundFileError("an MPEG stream of free format, whose frames' sizes are not announced; convert it")
        at += 1
    return -1


def survey_mpeg(data: mmap, start: int, end: int) -> Link:
    """Return what libsndfile is to read of MPEG audio between two bytes, the first of them a frame's.

    Raises:
        SoundFileError: it is cut short, or changes its rate or channels on the way.
    """
    pieces, count, first = _frames(data, start, end)
    info = _Info.read(data, start, first) if first.layer == 3 else None
    if info and info.frames and count - 1 < info.frames - 1:
        missing = (info.frames - count + 1) / info.frames
        seconds = (info.frames - count + 1) * first.samples / first.rate
        raise SoundFileError(f"cut short: {seconds:.2f} s of its sound are missing ({missing:.0%}); copy it again")
    remark = ""
    if info and 0 < info.frames < count - 1:
        seconds = (count - 1 - info.frames) * first.samples / first.rate
        remark = f"goes on for {seconds:.2f} s behind the end that it announces; are several files joined?"
    if info and info.is_xing and info.frames == count - 1:
        return Link(pieces)
    if info:
        pieces, count = _without(pieces, first.size), count - 1
    delay = info.delay if info else 0
    if first.layer < 3:
        # The length is estimated from the file's size: more zeros behind make it long enough.
        return Link((*pieces, bytes(4096)), count * first.samples, remark=remark)
    # mpg123 cuts off a decoder's delay where a Xing header is found: off a frame of silence, and skip its rest.
    header = data[start : start + 4]
    front = _empty_frame(header, first, count + 1) + _empty_frame(header, first)
    silenced, silent = _silenced(data, pieces[0], first) if isinstance(pieces[0], range) else (b"", 0)
    if silenced:
        seconds = silent * first.samples / first.rate
        remark = f"its first {seconds:.2f} s are silence: they need sound that was cut off before them"
    return Link(
        (front, silenced, *_without(pieces, len(silenced))),
        count * first.samples - delay,
        first.samples - _DECODER_DELAY + delay,
        remark,
    )


@dataclass(frozen=True)
class _Info:
    """What a first frame without sound announces: a Xing, Info or VBRI header."""

    frames: int
    delay: int
    """Samples at the start that are no sound; 0 if the encoder does not tell."""
    is_xing: bool

    @classmethod
    def read(cls, data: mmap, at: int, first: FrameHeader) -> _Info | None:
        if data[at + 36 : at + 40] == b"VBRI":
            return cls(int.from_bytes(data[at + 50 : at + 54], "big"), 0, False)
        tag = at + first.tag_offset
        if data[tag : tag + 4] not in (b"Xing", b"Info"):
            return None
        flags = int.from_bytes(data[tag + 4 : tag + 8], "big")
        frames = int.from_bytes(data[tag + 8 : tag + 12], "big") if flags & 1 else 0
        encoder = tag + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
        delays = int.from_bytes(data[encoder + 21 : encoder + 24], "big")
        known = data[encoder : encoder + 4] in (b"LAME", b"Lavf", b"Lavc")
        return cls(frames, (delays >> 12) + _DECODER_DELAY if known else 0, True)


def _follows(data: mmap, at: int, first: FrameHeader, end: int) -> bool:
    """Whether two more frames follow the one at `at`, or it and what follows fill the file."""
    for _ in range(2):
        at += first.size
        if at >= end:
            return at == end or end - at < 4
        following = parse_header(data[at : at + 4])
        if not following or not following.size or not following.is_like(first):
            return False
        first = following
    return True


def _frames(data: mmap, start: int, end: int) -> tuple[tuple[Piece, ...], int, FrameHeader]:
    """Return the ranges of whole frames, how many there are, and the first one's header."""
    first = parse_header(data[start : start + 4])
    assert first is not None
    pieces: list[range] = []
    at, begun, count = start, start, 0
    sizes: dict[bytes, int] = {}  # few different headers occur: each is understood once
    while at < end:
        header = data[at : at + 4]
        size = sizes.get(header, 0) if at + 4 <= end else 0
        if not size:
            found = parse_header(header)
            if found and found.size and found.is_like(first):
                size = sizes[header] = found.size
        if size:
            if at + size > end:
                raise SoundFileError(
                    f"cut short: its last frame lacks {at + size - end} bytes, and what should follow is missing; "
                    "export or copy it again"
                )
            at, count = at + size, count + 1
            continue
        if end - at < 4 and header == data[start : start + len(header)]:
            raise SoundFileError(
                "cut short: its last frame ends in its header; what should follow is missing; export or copy it again"
            )
        pieces.append(range(begun, at))
        begun = at = _after_junk(data, at, end, first)
    pieces.append(range(begun, max(min(at, end), begun)))
    return tuple(piece for piece in pieces if len(piece)), count, first


def _after_junk(data: mmap, at: int, end: int, first: FrameHeader) -> int:
    """Return where frames go on behind what is none: a tag between two joined files, or padding at the end."""
    if size := tag_size(data, at):
        return min(at + size, end)
    if data[at : at + 3] == b"TAG":
        return min(at + 128, end)
    following = find_frame(data, at, end)
    if following < 0:
        return end
    header = parse_header(data[following : following + 4])
    if header and not header.is_like(first):
        raise SoundFileError(f"changes its rate, channels or layer at byte {following}; expected one kind of frame")
    raise SoundFileError(f"damaged: {following - at} bytes at byte {at} are no MPEG frames")


def _without(pieces: tuple[Piece, ...], size: int) -> tuple[Piece, ...]:
    """Return the pieces without the first `size` bytes."""
    return (pieces[0][size:], *pieces[1:])


def _silenced(data: mmap, frames: range, first: FrameHeader) -> tuple[bytes, int]:
    """Return the first frames, as silence, that need the main data of frames which were cut off before; and how many.

    What they hold for the frames behind them stays in its place.
    """
    silenced, count, at, kept = bytearray(), 0, frames.start, 0
    while at + 8 < frames.stop:
        header = parse_header(data[at : at + 4])
        checksum = 0 if data[at + 1] & 1 else 2
        side = at + 4 + checksum
        behind = data[side] << 1 | data[side + 1] >> 7 if first.version == 1 else data[side]
        if header is None or behind <= kept:
            break
        frame = bytearray(data[at : at + header.size])
        frame[4 : first.tag_offset + checksum] = bytes(first.tag_offset + checksum - 4)
        # It still points back at all that is kept: a decoder carries that much on to the next frame, and no more.
        frame[side - at : side - at + 2] = (kept << 7).to_bytes(2, "big") if first.version == 1 else bytes((kept, 0))
        silenced += frame
        kept += header.size - first.tag_offset - checksum
        at, count = at + header.size, count + 1
    return bytes(silenced), count


def _empty_frame(header: bytes, first: FrameHeader, announced: int = 0) -> bytes:
    """Return a frame like `first` that holds silence, or, with a number to announce, a Xing header."""
    for bit_rate in range(1, 15):
        own = bytes((0xFF, header[1] | 1, bit_rate << 4 | header[2] & 0x0C, header[3]))
        found = parse_header(own)
        if found and found.size >= first.tag_offset + 12:
            break
    assert found is not None
    frame = bytearray(own.ljust(found.size, b"\0"))
    if announced:
        at = first.tag_offset
        frame[at : at + 12] = b"Xing" + (1).to_bytes(4, "big") + announced.to_bytes(4, "big")
    return bytes(frame)


_ITS_LINES = re.compile(
    rb"\n?(?:\[src/libmpg123/|Note: (?:Illegal Audio-MPEG|Trying to resync|Skipped|Hit end|Junk|missing|broken frame)|"
    rb"Warning: (?:Big change|Encountered more|Real sample count|Xing stream))[^\n]*\n"
)
_UNBUFFERED = 2


class DecoderMessages:
    """What libmpg123 prints of a stream that it cannot decode, kept from the terminal: libsndfile cannot have it quiet.

    In the `with` block libc's variable `stderr`, by which C code prints, points to a file in memory (Linux; elsewhere
    nothing happens). What other code prints there meanwhile is written to where it belongs afterwards. Descriptor 2
    itself, by which Python and child processes print, stays as it is. One thread at a time decodes.
    """

    def __init__(self) -> None:
        self.failures = 0
        """How often the decoder failed in the `with` block, once it has ended."""
        self._alone = threading.Lock()
        self._stderr: ctypes.c_void_p | None = None
        if sys.platform != "linux":
            return
        libc = ctypes.CDLL(None)
        libc.fdopen.restype = ctypes.c_void_p
        libc.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t)
        self._file = os.memfd_create("gramophone-decoder")
        self._ours = libc.fdopen(self._file, b"a+")
        libc.setvbuf(self._ours, None, _UNBUFFERED, 0)
        self._stderr = ctypes.c_void_p.in_dll(libc, "stderr")
        self._theirs = self._stderr.value
        os.register_at_fork(after_in_child=self._restore)

    def __enter__(self) -> Self:
        self._alone.acquire()
        self.failures = 0
        if self._stderr is not None:
            self._stderr.value = self._ours
        return self

    def __exit__(self, *_: object) -> None:
        if self._stderr is not None:
            self._stderr.value = self._theirs
            self.failures = self._sorted()
        self._alone.release()

    def _sorted(self) -> int:
        """Return how many lines of the decoder there are, and write the others to descriptor 2."""
        size = os.fstat(self._file).st_size
        if not size:
            return 0
        others, count = _ITS_LINES.subn(b"", os.pread(self._file, size, 0))
        os.ftruncate(self._file, 0)
        with suppress(OSError):
            os.write(2, others)
        return count

    def _restore(self) -> None:
        """Undo, in a forked child, what a thread of its parent was at."""
        self._alone = threading.Lock()
        if self._stderr is not None:
            self._stderr.value = self._theirs


@cache
def decoder_messages() -> DecoderMessages:
    """Return the one of this process."""
    return DecoderMessages()
