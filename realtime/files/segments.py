"""The files that sound libraries read and write, as objects; the error of a sound file, and remarks on one.

`Segments` is a file view: pieces of a file and literal bytes, read as if they were one file. An `OutputFile` is written
by a C library, with every error kept.
"""

from __future__ import annotations

import logging
import os
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO


class OutputFile:
    """The file that is written, from byte `start` on: what libsndfile takes for its start.

    libsndfile calls it from C, where no exception can pass: the first is kept in `error`.
    """

    def __init__(self, path: Path) -> None:
        self.start = 0
        self.error: OSError | None = None
        self._raw = path.open("w+b", buffering=0)

    def write(self, data: Any) -> int:
        """Write all of `data`, or keep the error; returns its size in bytes or 0."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and not self.error:
                left = left[self._raw.write(left) :]
        except OSError as error:
            self.error = error
        return 0 if self.error else size

    def read(self, size: int = -1) -> bytes:
        """Return bytes from the current position."""
        return self._raw.read(size)

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the current position; returns how many bytes there were."""
        return self._raw.readinto(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move from the start, the current position or the end; returns the new position."""
        return self._raw.seek(offset + (self.start if whence == os.SEEK_SET else 0), whence) - self.start

    def tell(self) -> int:
        """Return the current position."""
        return self._raw.tell() - self.start

    def close(self) -> None:
        """Close the file; an error that the disk reports only now is kept, too."""
        try:
            self._raw.close()
        except OSError as error:
            self.error = self.error or error


class SoundFileError(OSError):
    """A sound file cannot be read or written; the message names the file and what was found."""


_LOG = logging.getLogger("gramophone.realtime.files")
_filters = threading.Lock()
Remark = tuple[str, str]
"""A file's path, and in words what is to be known about it although it was read."""


def publish_remarks(remarks: Iterable[Remark]) -> None:
    """Log remarks as warnings of `gramophone.realtime.files`: every program shows them, once it reads a file."""
    for path, text in remarks:
        _LOG.warning("%s: %s", path, text)


@contextmanager
def collected_remarks(*, of_all_threads: bool = False) -> Iterator[list[Remark]]:
    """Put the remarks on files that this thread reads meanwhile, or all threads, into a list instead of the log."""
    remarks: list[Remark] = []
    own = None if of_all_threads else threading.get_ident()

    def take(record: logging.LogRecord) -> bool:
        if own not in (None, record.thread):
            return True
        path, text = map(str, record.args or ())
        if (path, text) not in remarks:
            remarks.append((path, text))
        return False

    # The innermost comes first, and a list that another thread goes through stays as it is.
    with _filters:
        _LOG.filters = [take, *_LOG.filters]
    try:
        yield remarks
    finally:
        with _filters:
            _LOG.filters = [each for each in _LOG.filters if each is not take]


def reason(error: OSError) -> str:
    """Return what the operating system says went wrong, as in "No space left on device"."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))


Piece = bytes | range
"""Literal bytes, or a range of byte positions of the file behind the view."""


class Segments:
    """A read-only view of `file`: `pieces` one after another. It has what libsndfile asks of a file.

    libsndfile calls it from C, where no exception can pass: one that reading raises is kept in `error`, and the view
    seems to end there.
    """

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        self.error: OSError | None = None
        self._file = file
        self._pieces = [piece for piece in pieces if len(piece)]
        self._starts = [0, *accumulate(len(piece) for piece in self._pieces)]
        self._at = 0

    def __len__(self) -> int:
        """Return the view's size in bytes."""
        return self._starts[-1]

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill `buffer` from the current position; returns how many bytes there were."""
        whole, filled = memoryview(buffer).cast("B"), 0
        while filled < len(whole) and self._at < len(self):
            index = bisect_right(self._starts, self._at) - 1
            piece, inside = self._pieces[index], self._at - self._starts[index]
            count = min(len(whole) - filled, len(piece) - inside)
            if isinstance(piece, bytes):
                whole[filled : filled + count] = piece[inside : inside + count]
            else:
                count = self._read_file(piece[inside], whole[filled : filled + count])
            if not count:
                break
            filled += count
            self._at += count
        return filled

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes from the current position, all that are left if negative."""
        buffer = bytearray(len(self) - self._at if size < 0 else max(min(size, len(self) - self._at), 0))
        return bytes(buffer[: self.readinto(buffer)])

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` from the start, the current position or the end; returns the new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self)}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """Return the current position."""
        return self._at

    def _read_file(self, position: int, buffer: memoryview) -> int:
        try:
            self._file.seek(position)
            return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
        except OSError as error:
            self.error = error
            return 0


@dataclass(frozen=True)
class Link:
    """A stretch of a file that one decoder reads from start to end; most files are one."""

    pieces: tuple[Piece, ...]
    """The bytes that the decoder gets."""
    frames: int | None = None
    """How many frames it yields; None where libsndfile's own count is right, -1 where only decoding tells."""
    skip: int = 0
    """How many of its first frames are the encoder's delay and no sound."""
    remark: str = ""
    """What is to be known about it, in words; empty if nothing."""
