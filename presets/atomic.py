"""Files that appear under their name whole or not at all, whoever is killed and whoever reads or writes beside."""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_parts: set[Path] = set()
"""New files of this process that have no name yet; noted before they exist, as a signal may end it at any moment."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give the path of an empty new file beside `path`; when the `with` block ends well it takes the name `path`.

    If the block raises, the new file is removed and `path` stays as it was.

    Raises:
        OSError: the folder is missing or cannot be written, or the disk is full; it names `path`.
    """
    part = create_part(path)
    try:
        yield part
        publish(part, path)
    except BaseException as error:  # an interrupt too
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(part)):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def create_part(path: Path) -> Path:
    """Create an empty file in the folder of `path` and return its path; its name is hidden, unique and short.

    The length of its name does not depend on that of `path`, as file systems end at 255 bytes. Its permissions are
    those of any new file (`tempfile` would let the owner alone read it).

    Raises:
        OSError: the folder is missing or cannot be written; it names `path`.
    """
    while True:
        part = path.with_name(f".{secrets.token_hex(4)}.part")
        _parts.add(part)
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:  # another process has made it
            _parts.discard(part)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        else:
            return part


def publish(part: Path, path: Path) -> None:
    """Give a file that is written and closed the name `path`, in the place of what had it.

    Its content is on the disk first: else a power cut may leave the new name with nothing behind it.
    """
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
    _parts.discard(part)


@atexit.register
def remove_parts() -> None:
    """Remove the new files of this process that have not been given their names; called at its end."""
    while _parts:
        with suppress(OSError):
            _parts.pop().unlink()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_parts.clear)  # they are the parent's
