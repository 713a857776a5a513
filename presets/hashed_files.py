"""Files by what is in them: named by the hash of their contents, wherever they lie and whatever they are called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path

from gramophone.presets.atomic import atomic_write

_TOKEN = re.compile(r"sha256-([0-9a-f]{64})(\.[a-z0-9]{1,16})?")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's contents in hexadecimal; it is read once for each time that it was written.

    Raises:
        OSError: it cannot be read.
    """
    found = path.stat()
    return _sha256(path, found.st_mtime_ns, found.st_size)


def token_of(path: Path) -> str:
    """Return a file's name by its contents, `sha256-HEX.SUFFIX`.

    Raises:
        OSError: it cannot be read.
    """
    token = f"sha256-{sha256_of(path)}{path.suffix.lower()}"
    return token if is_token(token) else token.partition(".")[0]


def is_token(text: str) -> bool:
    """Whether a text is a file's name by its contents: one that leads out of no folder."""
    return bool(_TOKEN.fullmatch(text))


@dataclass(frozen=True)
class HashedFiles:
    """A folder of files by their contents; it need not be there yet."""

    folder: Path

    def found(self, token: str, elsewhere: Path | None = None) -> Path | None:
        """Return where a file with these contents is: `elsewhere`, in the folder, or nowhere (None)."""
        wanted = _hash_in(token)
        for path in (elsewhere, self.folder / token):
            if path and path.is_file() and sha256_of(path) == wanted:
                return path
        return None

    def keep(self, token: str, chunks: Iterable[bytes]) -> Path | None:
        """Write a file's contents and return where; None, and nothing is written, if they are not the token's.

        Raises:
            OSError: they cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path, digest = self.folder / token, hashlib.sha256()
        try:
            with atomic_write(path) as part, part.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                if digest.hexdigest() != _hash_in(token):
                    raise _OtherContentsError
        except _OtherContentsError:
            return None
        return path


class _OtherContentsError(ValueError):
    """Contents are not what their name says."""


def _hash_in(token: str) -> str:
    match = _TOKEN.fullmatch(token)
    if not match:
        raise ValueError(f"{token[:80]!r} is no file's name by its contents")
    return match[1]


@lru_cache(maxsize=64)
def _sha256(path: Path, changed_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
