"""Files by URL, on any file system that fsspec knows: listed, fetched whole, and stored whole."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from gramophone.offline.extras import need

T = TypeVar("T")

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5
"""Before the second attempt at a transfer; twice as long before each further one, as servers ask of clients."""


class UrlError(RuntimeError):
    """A URL cannot be listed, read or written; the message names it and says what to do."""


class UrlMissingError(UrlError):
    """There is nothing at a URL."""


@dataclass(frozen=True, order=True)
class Url:
    """A file or folder by URL, with the names that a `Path` has."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of its path."""
        return unquote(posixpath.basename(urlsplit(self.url).path.rstrip("/"))) or urlsplit(self.url).netloc

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return posixpath.splitext(self.name)[0]

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return posixpath.splitext(self.name)[1]

    @property
    def scheme(self) -> str:
        """What comes before `://`."""
        return self.url.partition("://")[0]

    @property
    def parent(self) -> Url:
        """The folder that holds it."""
        return Url(posixpath.dirname(self.url.rstrip("/")))

    def __truediv__(self, name: str) -> Url:
        return Url(f"{self.url.rstrip('/')}/{name}")


Place = Path | Url


def parse_place(text: str) -> Place:
    """Return a path, or a URL where the text is one; `file://` names a path."""
    if "://" not in text:
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme == "file":
        return Path(unquote(rest.removeprefix("localhost")))
    return Url(text)


def file_system(url: Url) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Raises:
        MissingLibraryError: fsspec is not installed.
        UrlError: there is no such file system, or what it needs is not installed.
    """
    need("fsspec")
    from fsspec.core import url_to_fs

    try:
        found: tuple[Any, str] = url_to_fs(url.url)
    except (ImportError, ValueError) as error:
        raise UrlError(f"{url}: {error}") from None
    return found


def listed(url: Url) -> list[Url]:
    """Return the files that a URL stands for: itself, all below it if it is a folder, or what its pattern matches.

    Raises:
        UrlError: it cannot be listed.
    """
    system, path = file_system(url)

    def look() -> list[str]:
        if any(sign in path for sign in "*[") and not system.exists(path):
            return list(system.glob(path))
        if url.scheme not in ("http", "https") and system.isdir(path):
            return list(system.find(path))
        return [path] if system.exists(path) else []

    return [Url(str(system.unstrip_protocol(found))) for found in sorted(_patiently(look, url, "listed"))]


def folder_below(file: Url, place: Url) -> str:
    """Return where a file of `listed(place)` lies: its folder below that one, or below the pattern's fixed part."""
    system, root = file_system(place)
    if any(sign in root for sign in "*[") and not system.exists(root):
        root = posixpath.dirname(root[: min(at for sign in "*[" if (at := root.find(sign)) >= 0)])
    below = posixpath.relpath(posixpath.dirname(file_system(file)[1]), root or "/") if file != place else "."
    return "" if below == "." or below.startswith("..") else below


def stamp(place: Place) -> str:
    """Return a text that changes when the file does: its size in bytes, and what its file system knows besides.

    Raises:
        OSError, UrlError: it is not there.
    """
    if isinstance(place, Path):
        status = place.stat()
        return f"{status.st_size} {status.st_mtime_ns}"
    url = place
    system, path = file_system(url)
    known = _patiently(lambda: system.info(path), url, "read")
    marks = (str(known[key]) for key in ("ETag", "etag", "mtime", "LastModified", "created") if known.get(key))
    return " ".join((str(known.get("size")), *marks))


def size_of(place: Place) -> int:
    """Return a file's size in bytes.

    Raises:
        OSError, UrlError: it is not there.
    """
    if isinstance(place, Path):
        return place.stat().st_size
    system, path = file_system(place)
    return int(_patiently(lambda: system.info(path), place, "read")["size"] or 0)


def sizes(folder: Url) -> dict[str, int]:
    """Return the files below a folder with their sizes in bytes, by URL; none if it is not there."""
    system, path = file_system(folder)

    def look() -> dict[str, dict[str, Any]]:
        try:
            return dict(system.find(path, detail=True))
        except FileNotFoundError:
            return {}

    found = _patiently(look, folder, "listed")
    return {str(folder / posixpath.relpath(name, path)): int(item["size"] or 0) for name, item in found.items()}


def opened(url: Url) -> BinaryIO:
    """Return a file opened for reading.

    Raises:
        UrlError: it cannot be read.
    """
    system, path = file_system(url)
    return cast(BinaryIO, _patiently(lambda: system.open(path, "rb"), url, "read"))


def fetch(url: Url, target: Path) -> None:
    """Copy a file here, whole.

    Raises:
        UrlError: it breaks off each time, or is not there; the message says which.
    """
    system, path = file_system(url)

    def copy() -> None:
        size = system.info(path).get("size")
        system.get_file(path, str(target))
        if size is not None and target.stat().st_size != size:
            raise OSError(f"{target.stat().st_size} bytes of {size} came")

    _patiently(copy, url, "read")


def store(source: Path, url: Url) -> None:
    """Copy a file there.

    Raises:
        UrlError: it cannot be written.
    """
    system, path = file_system(url)
    _put(url, lambda: system.put_file(str(source), path))


def rename(source: Url, target: Url) -> None:
    """Give a file another name on the same file system.

    Raises:
        UrlError: it cannot be written.
    """
    system, path = file_system(source)
    other = file_system(target)[1]
    _put(target, lambda: system.mv(path, other))


def write(url: Url, content: bytes) -> None:
    """Write a file.

    Raises:
        UrlError: it cannot be written.
    """
    system, path = file_system(url)
    _put(url, lambda: system.pipe_file(path, content))


def _put(url: Url, action: Callable[[], None]) -> None:
    system, path = file_system(url)

    def put() -> None:
        system.makedirs(posixpath.dirname(path), exist_ok=True)
        action()

    _patiently(put, url, "written")


def remove(folder: Url) -> None:
    """Remove a folder and what is in it, if it is there.

    Raises:
        UrlError: it cannot be removed.
    """
    system, path = file_system(folder)
    _patiently(lambda: system.rm(path, recursive=True) if system.exists(path) else None, folder, "removed")


def private(places: Iterable[Place]) -> Url | None:
    """Return the first of some places that only this process sees, as `memory://` is; None if there is none."""
    return next((item for item in places if isinstance(item, Url) and item.scheme == "memory"), None)


def _patiently(action: Callable[[], T], url: Url, done: str) -> T:
    """Return what an action returns; one that the network or server broke off is tried again after a pause.

    Raises:
        UrlError: it was in vain each time, or the file is not there, or access is refused.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return action()
        except FileNotFoundError:
            raise UrlMissingError(f"{url}: is not there") from None
        # NotImplementedError is what fsspec raises where a file system cannot do that at all: no second attempt helps.
        except (PermissionError, NotADirectoryError, NotImplementedError) as error:
            raise UrlError(f"{url}: cannot be {done}: {str(error) or type(error).__name__}") from None
        except Exception as error:  # each file system has errors of its own
            if attempt == _ATTEMPTS - 1:
                raise UrlError(
                    f"{url}: cannot be {done}, {_ATTEMPTS} times: {str(error) or type(error).__name__}"
                ) from None
        time.sleep(_FIRST_PAUSE_S * 2**attempt)  # whatever keeps the server from answering may pass: nothing says when
    raise AssertionError
