"""A hidden folder in that of the results, from which each is moved into its place once and whole.

Whatever a lost process leaves half done stays in there, and goes with it.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from gramophone.offline.urls import Place, Url, listed, remove, rename

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".gramophone-"


class Staging:
    """A folder in `out` for results that are not in their places yet; for a `with` block, which removes it."""

    def __init__(self, out: Place) -> None:
        self._out = out
        self._folder: Place | None = None
        self._lock: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self._folder, Path):
            shutil.rmtree(self._folder, ignore_errors=True)
        elif self._folder:
            remove(self._folder)
        if self._lock:
            self._lock.close()

    def staged(self, number: int, target: Place) -> Place:
        """Return where to write result `number`, which `publish` moves to `target` below `out`.

        Raises:
            OSError: the folder cannot be made.
        """
        self._folder = self._folder or self._made()
        own = self._folder / str(number)
        if isinstance(own, Path):
            own.mkdir()
        return own / target.name

    def publish(self, staged: Place, target: Place) -> None:
        """Move a result, and what was made beside it, into its place.

        Raises:
            OSError, UrlError: it cannot be moved.
        """
        if isinstance(staged, Path) and isinstance(target, Path):
            for file in staged.parent.iterdir():
                if not file.name.startswith("."):  # what an attempt left half done
                    file.replace(target.parent / file.name)
            shutil.rmtree(staged.parent, ignore_errors=True)
            return
        assert isinstance(staged, Url)
        assert isinstance(target, Url)
        for url in listed(staged.parent):
            rename(url, target.parent / url.name)

    def _made(self) -> Place:
        """Make the folder, and remove those that runs which were killed have left."""
        name = f"{_PREFIX}{secrets.token_hex(4)}"
        folder = self._out / name
        if isinstance(folder, Path):
            assert isinstance(self._out, Path)
            new = self._out / f".new{name}"
            new.mkdir()
            self._lock = _locked(new)
            new.rename(folder)  # locked when another run sees it first
            for other in self._out.glob(f"{_PREFIX}*"):
                if other != folder and (lock := _locked(other)):
                    shutil.rmtree(other, ignore_errors=True)
                    lock.close()
        return folder


def _locked(folder: Path) -> BinaryIO | None:
    """Return the open lock of a folder, which its run holds while it lives; None if another does, or it has none."""
    if fcntl is None:
        return None
    try:
        lock = (folder / ".lock").open("ab")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock
