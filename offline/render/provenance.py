"""What made a result: version, settings and input, in a tag of the result itself, which goes where the file goes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote_from_bytes

from gramophone.models.parameters import Value
from gramophone.offline.urls import Place, opened
from gramophone.presets import Preset
from gramophone.presets.model_library import library_file
from gramophone.presets.models import MODELS, SUFFIX, model_names
from gramophone.realtime.files.reader import open_regular
from gramophone.realtime.live.replay import is_recording

_MARK = re.compile(rb"gramophone (\S{1,40}) settings=([0-9a-f]{16}) input=([0-9a-f]{16}) from=([\w.~%-]*)")
_HEAD_BYTES, _END_BYTES = 1 << 18, 1 << 16
_READ_BYTES = 1 << 17


@dataclass(frozen=True)
class Provenance:
    """A program version, digests of the settings and of the input's bytes, and the input's name, percent-encoded."""

    version: str
    settings: str
    input: str
    name: str

    def __str__(self) -> str:
        return f"gramophone {self.version} settings={self.settings} input={self.input} from={self.name}"

    def difference(self, wanted: Provenance) -> str:
        """Return in words in what a result differs from the wanted one; empty if in nothing that is heard."""
        kinds = (
            ("settings", "with other settings"),
            ("input", "from another input"),
            ("version", "by another version"),
        )
        return " and ".join(text for key, text in kinds if getattr(self, key) != getattr(wanted, key))


def provenance(source: Place, settings: str) -> Provenance:
    """Return what a render of `source` with settings of this digest is to be marked with.

    Raises:
        OSError, UrlError: the input cannot be read.
    """
    return Provenance(version("gramophone"), settings, digest_of(source), encoded_name(source))


def settings_digest(preset: Preset, tail: str, words: Sequence[str] = ()) -> str:
    """Return a digest of a chain, its values and the files that these name, of the tail, and of `words` about the rest.

    Raises:
        LibraryError: a model that they name is no longer what was added.
    """
    stages = [(stage.name, stage.kind, _plain(stage.values)) for stage in preset.stages]
    settings = [stages, tail, *words]
    return _digest(json.dumps(settings, sort_keys=True, default=str).encode("utf-8", "surrogatepass"))


def digest_of(source: Place) -> str:
    """Return a digest of a file's bytes, or of all the files of a recording."""
    files: list[Place] = [source]
    if isinstance(source, Path) and is_recording(source):
        files = sorted(path for path in source.iterdir() if path.is_file())
    total = hashlib.blake2b(digest_size=8)
    room = memoryview(bytearray(_READ_BYTES))
    for each in files:
        with open_regular(each) if isinstance(each, Path) else opened(each) as file:
            while count := file.readinto(room):  # type: ignore[attr-defined]  # a new block for each part would be touched for the first time
                total.update(room[:count])
    return total.hexdigest()


def encoded_name(path: Place) -> str:
    """Return a file's name in the letters of a URL."""
    return quote_from_bytes(os.fsencode(path.name), safe="")


def read_provenance(path: Place) -> Provenance | None:
    """Return what a result is marked with; None if gramophone did not make it.

    Raises:
        OSError, UrlError: it cannot be read.
    """
    with path.open("rb") if isinstance(path, Path) else opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        content = file.read(_HEAD_BYTES)
        file.seek(max(size - _END_BYTES, 0))
        found = _MARK.search(content) or _MARK.search(file.read())
    return _parsed(found) if found else None


def parse_mark(text: str) -> Provenance | None:
    """Return what a mark says; None if it is none."""
    found = _MARK.search(text.encode("utf-8", "replace"))
    return _parsed(found) if found else None


def _parsed(found: re.Match[bytes]) -> Provenance:
    return Provenance(*(part.decode("ascii", "replace") for part in found.groups()))


def _plain(values: Mapping[str, Value]) -> dict[str, object]:
    """Return values for comparison: a file counts by what is in it, not by where it lies, and so does a named model."""
    return {key: _content(value) if isinstance(value, str) and value else value for key, value in values.items()}


def _content(text: str) -> str:
    """Return a digest of the file or the model that a text names; the text itself if it names none.

    Raises:
        LibraryError: a model is no longer what was added.
    """
    model = MODELS / f"{text}{SUFFIX}" if text in model_names() else library_file(text)
    return file_digest(str(model) if model else text)


def file_digest(text: str) -> str:
    """Return a digest of the file that a text names; the text itself if there is none."""
    try:
        known = Path(text).stat() if Path(text).is_file() else None
    except (OSError, ValueError):
        known = None
    return _cached_digest(text, known.st_mtime_ns, known.st_size) if known else text


@lru_cache(maxsize=64)
def _cached_digest(path: str, _changed_ns: int, _size: int) -> str:
    return digest_of(Path(path))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
