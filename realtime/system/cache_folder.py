"""The one folder for what can be made or downloaded again, and how processes write there one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_dir

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def cache_folder(*inside: str) -> Path:
    """Return the user's cache folder of Gramophone, or a folder `inside` it; it may not exist yet.

    On Linux `~/.cache/gramophone`, or where `XDG_CACHE_HOME` says (XDG Base Directory specification).
    """
    return Path(user_cache_dir("gramophone", appauthor=False), *inside)


@contextmanager
def alone(lock: Path, *, wait: bool = True) -> Iterator[None]:
    """Let one process at a time run the block, by a lock on a file; it ends with the process at the latest.

    Windows has no such locks: there, each runs it.

    Raises:
        BlockingIOError: another runs it, and this one is not to `wait`.
        OSError: the file cannot be written.
    """
    with lock.open("a") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
