"""Ogg (RFC 3533) and FLAC (RFC 9639): stretches for a decoder, and the order of channels in Vorbis and Opus.

The pages of an Ogg file are checked and sorted into the links of a chain, each one stream for a decoder. The frames of
a FLAC are decoded to their end, whatever number the header announces. Vorbis and Opus order loudspeakers otherwise
than WAV (Vorbis I, 4.3.9; RFC 7845, 5.1.1.2).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from mmap import mmap
from typing import BinaryIO

import numpy as np

from gramophone.realtime.files.segments import Link, SoundFileError

_HEADER_BYTES = 42
"""The marker fLaC and the block STREAMINFO."""


def survey_flac(file: BinaryIO, start: int, end: int) -> tuple[Link, int]:
    """Return what libsndfile is to read of a FLAC stream between two bytes, and the frames announced (0: unknown)."""
    file.seek(start)
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[4] & 0x7F:
        return Link((range(start, end),)), 0
    total = int.from_bytes(header[21:26], "big") & 0xF_FFFFFFFF
    return Link((open_ended(header), range(start + _HEADER_BYTES, end)), total or -1), total


def open_ended(header: bytes) -> bytes:
    """Return the start of a FLAC file without the number of frames: at it, a decoder would stop, whatever follows."""
    if len(header) < 26:
        return header
    return header[:21] + bytes((header[21] & 0xF0, 0, 0, 0, 0)) + header[26:]


_TO_WAV = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 5, 3, 4],
    7: [0, 2, 1, 6, 5, 3, 4],
    8: [0, 2, 1, 7, 5, 6, 3, 4],
}
"""For each of WAV's channels, by how many there are, the Vorbis channel."""


def to_wav(channels: int) -> list[int] | None:
    """Return which Vorbis channel each of WAV's channels is; None if the orders are the same."""
    return _TO_WAV.get(channels)


def from_wav(block: np.ndarray) -> np.ndarray:
    """Return `block`, `(channels, frames)` in WAV's order, in that of Vorbis."""
    order = _TO_WAV.get(block.shape[0])
    return block if order is None else block[np.argsort(order)]


_CONTINUED, _FIRST, _LAST = 1, 2, 4
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_FLAC = b"\x7fFLAC"
_SOUNDS = (b"\x01vorbis", b"OpusHead", _FLAC, b"Speex   ")
_FLAC_PREFIX_BYTES = 9
"""What stands before the native stream in Ogg's first packet of FLAC (RFC 9639, 10.1)."""


@dataclass
class _Stream:
    """The pages of one stream, joined where they touch."""

    is_sound: bool
    is_flac: bool
    pages: list[range] = field(default_factory=list)
    contents: list[range] = field(default_factory=list)
    granule: int = 0
    """The highest so far: frames from the start of the stream."""
    sequence: int = -1
    ended: bool = False
    is_split: bool = False
    """Whether a packet of the last page goes on behind it."""

    def add(self, page: range) -> None:
        if self.pages and self.pages[-1].stop == page.start:
            self.pages[-1] = range(self.pages[-1].start, page.stop)
        else:
            self.pages.append(page)


def survey_ogg(data: mmap, start: int, end: int) -> list[Link]:
    """Return the links of an Ogg file between two bytes.

    Raises:
        SoundFileError: pages are damaged or missing, the end is, or two sounds play at once.
    """
    groups: list[dict[int, _Stream]] = []
    at, opening = start, False
    while at < end:
        page = _page_at(data, at, end)
        flags, serial = data[at + 5], int.from_bytes(data[at + 14 : at + 18], "little")
        if flags & _FIRST:
            if not opening:
                groups.append({})
            content = at + 27 + data[at + 26]
            codec = data[content : content + 8]
            groups[-1][serial] = _Stream(codec.startswith(_SOUNDS), codec.startswith(_FLAC))
        opening = bool(flags & _FIRST)
        stream = groups[-1].get(serial) if groups else None
        if stream is None:
            raise SoundFileError(f"damaged: a page of no known stream at byte {at}")
        _add(stream, data, page, at)
        at = page.stop
    sounds = [stream for group in groups if (stream := _sound_of(group))]
    if not sounds:
        raise SoundFileError(
            "an Ogg file without sound in it, or in a code that is not known; expected Vorbis, Opus or FLAC"
        )
    if sounds[-1].is_split:
        raise SoundFileError(
            "cut short: the end of the stream is missing, nothing says how much of it; export or copy it again"
        )
    # Some encoders mark no last page, and a recorder that was ended does not.
    remark = "" if sounds[-1].ended else "no page is marked as the last; what should follow, if anything, is missing"
    links = [_link(stream, data) for stream in sounds]
    return [*links[:-1], replace(links[-1], remark=remark)]


def _page_at(data: mmap, at: int, end: int) -> range:
    """Return the bytes of the page at `at`, whole and with the right checksum."""
    header = data[at : min(at + 27, end)]
    if header[:4] != b"OggS"[: len(header)] or not header:
        raise SoundFileError(f"damaged: no Ogg page at byte {at} of {end}")
    table = data[at + 27 : min(at + 27 + header[26], end)] if len(header) == 27 else b""
    size = 27 + len(table) + sum(table)
    if len(header) < 27 or len(table) < header[26] or at + size > end:
        missing = max(at + size - end, 1)
        raise SoundFileError(
            f"cut short: its last page lacks at least {missing} bytes, and what should follow is missing; "
            "export or copy it again"
        )
    content = data[at : at + 22] + bytes(4) + data[at + 26 : at + size]
    if _checksum(content) != int.from_bytes(data[at + 22 : at + 26], "little"):
        raise SoundFileError(f"damaged: the checksum of the page at byte {at} is wrong")
    return range(at, at + size)


def _checksum(content: bytes) -> int:
    """Return Ogg's CRC, which is zlib's polynomial with the bits in the other order and without inversion."""
    reflected = zlib.crc32(content.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


def _add(stream: _Stream, data: mmap, page: range, at: int) -> None:
    sequence = int.from_bytes(data[at + 18 : at + 22], "little")
    # A recording of a running broadcast has the headers' pages in front and goes on with any number.
    if stream.sequence >= 0 and sequence != (stream.sequence + 1) & 0xFFFFFFFF and stream.granule:
        raise SoundFileError(f"damaged: page {stream.sequence + 1} of a stream is missing at byte {at}")
    stream.sequence = sequence
    stream.granule = max(int.from_bytes(data[at + 6 : at + 14], "little", signed=True), stream.granule)
    stream.ended = bool(data[at + 5] & _LAST)
    stream.is_split = data[at + 26] > 0 and data[at + 26 + data[at + 26]] == 255
    stream.add(page)
    if stream.is_flac:
        stream.contents.append(range(at + 27 + data[at + 26], page.stop))


def _sound_of(group: dict[int, _Stream]) -> _Stream | None:
    sounds = [stream for stream in group.values() if stream.is_sound]
    if len(sounds) > 1:
        raise SoundFileError(f"holds {len(sounds)} sounds that play at once; expected one; take them apart first")
    return sounds[0] if sounds else None


def _link(stream: _Stream, data: mmap) -> Link:
    if not stream.is_flac:
        return Link(tuple(stream.pages))
    # libsndfile cannot read FLAC in Ogg; the pages' contents, joined, are a FLAC file.
    first = stream.contents[0]
    header = data[first.start + _FLAC_PREFIX_BYTES : first.stop]
    return Link((open_ended(header), *stream.contents[1:]), stream.granule)
