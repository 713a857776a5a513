"""Bins: what the user removes stays for a month, and the oldest of it goes sooner where it takes too much room."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LONGEST_DAYS = 30
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Bin:
    """A folder of removed things. A thing is a folder, or all files that are called alike up to the first dot."""

    folder: Path

    def put(self, *paths: Path) -> None:
        """Move the files or the folder of one thing here, in place of an older one of the same name.

        Raises:
            OSError: they cannot be moved.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            target = self.folder / path.name
            if target.is_dir():
                shutil.rmtree(target)
            path.replace(target)
            os.utime(target)  # a thing is as old as its removal

    def tidy(self, now_s: float | None = None) -> None:
        """Delete what was removed more than `LONGEST_DAYS` ago, and beyond `MOST_BYTES` the oldest, but not the newest.

        `now_s` is the time in seconds since 1970; None: that of the system.
        """
        things = sorted(self._things().values(), key=_removed_s)
        whole = sum(map(_size, things))
        last_s = (time.time() if now_s is None else now_s) - LONGEST_DAYS * 86_400
        for place, thing in enumerate(things, 1):
            if _removed_s(thing) < last_s or (whole > MOST_BYTES and place < len(things)):
                whole -= _size(thing)
                _delete(thing)

    def empty(self) -> None:
        """Delete everything in it."""
        for thing in self._things().values():
            _delete(thing)

    def contents(self) -> tuple[int, int]:
        """Return how many things there are, and their size in bytes."""
        things = self._things().values()
        return len(things), sum(map(_size, things))

    def _things(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        with suppress(OSError):
            for path in self.folder.iterdir():
                found.setdefault(path.name.partition(".")[0], []).append(path)
        return found


def _removed_s(thing: list[Path]) -> float:
    return max(path.lstat().st_mtime for path in thing)


def _size(thing: list[Path]) -> int:
    return sum(file.lstat().st_size for path in thing for file in (path, *path.rglob("*")) if not file.is_dir())


def _delete(thing: list[Path]) -> None:
    for path in thing:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
