"""A file from an address that the user names: asked for again where it breaks off, and gone on with where it ended."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from gramophone.presets.model_library import LibraryError
from gramophone.realtime.system.cache_folder import cache_folder

TRIES = 5
PAUSE_S = 1.0
"""Seconds before the second try; each further pause is twice as long."""
_TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 18
_RESUMED = 206
_FOR_GOOD = range(400, 500)
"""Statuses that another try will not change."""


class _Changed(Exception):  # noqa: N818 - no error: it begins again
    """What is at the address is another file than what was begun."""


def downloaded(url: str, most_bytes: int, sleep: Callable[[float], object] = time.sleep) -> Path:
    """Return the file at a `http` or `https` address, in the cache folder; what came of it before is not fetched again.

    Raises:
        LibraryError: the address is of another form, the file is larger than `most_bytes`, or it cannot be had; what
            came of it stays for the next call.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise LibraryError(f"{url}: expected an address that begins with http:// or https://")
    folder = cache_folder() / "downloads" / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    part, mark = folder / "part", folder / "mark.json"
    reason = ""
    for attempt in range(TRIES):
        if attempt:
            sleep(PAUSE_S * 2 ** (attempt - 1))
        try:
            _go_on(url, part, mark, most_bytes)
            return part.replace(folder / (Path(urlsplit(url).path).name or "model"))
        except _Changed:
            part.unlink(missing_ok=True)
            mark.unlink(missing_ok=True)
            reason = "it changed while it was fetched"
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code in _FOR_GOOD:
                break
        except (OSError, HTTPException, EOFError) as error:
            reason = str(error) or type(error).__name__
    size = part.stat().st_size if part.is_file() else 0
    kept = f"; {size} bytes are kept, and the same command goes on from there" if size else ""
    raise LibraryError(f"{url}: cannot be fetched: {reason}{kept}")


def _go_on(url: str, part: Path, mark: Path, most_bytes: int) -> None:
    """Fetch what is missing of a file.

    Raises:
        _Changed: what is there is another file than what was begun.
        EOFError: it ended before it was whole.
    """
    known = json.loads(mark.read_text("utf-8")) if mark.is_file() and part.is_file() else {}
    start = part.stat().st_size if known.get("version") else 0
    headers = {"Range": f"bytes={start}-", "If-Range": known["version"]} if start else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S) as answer:
        goes_on = answer.status == _RESUMED
        start = start if goes_on else 0
        length = answer.headers.get("Content-Length")
        size = start + int(length) if length else None
        if goes_on and size != known.get("size"):
            raise _Changed
        if size is not None and size > most_bytes:
            raise LibraryError(f"{url}: {size} bytes; expected {most_bytes} at most")
        # If-Range takes a strong tag or a date; a weak tag says nothing about bytes.
        tag = answer.headers.get("ETag", "")
        version = answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
        mark.write_text(json.dumps({"version": version, "size": size}), "utf-8")
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := answer.read(_CHUNK_BYTES):
                start += len(chunk)
                if start > most_bytes:
                    raise LibraryError(f"{url}: expected {most_bytes} bytes at most")
                file.write(chunk)
    if size is not None and start < size:
        raise EOFError(f"it ended after {start} of {size} bytes")
