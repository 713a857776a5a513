"""A file that is written by a C library, with every error kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


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
