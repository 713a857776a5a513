"""FLAC: its frames are decoded to their end, whatever number the header announces (RFC 9639)."""

from __future__ import annotations

from typing import BinaryIO

from gramophone.realtime.files.segments import Link

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
