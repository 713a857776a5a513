"""The list of what a run has done with each input, one JSON object a line, by which another run goes on.

With it nothing is read twice: an input whose size and time of change are those of its line, under the same settings and
version, is done if its result is there in the size that it had.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gramophone.offline.render.provenance import parse_mark
from gramophone.offline.render.render_file import Rendered
from gramophone.offline.urls import Place, Url, UrlError, UrlMissingError, opened, size_of, stamp, write

NAME = "manifest.jsonl"
_EVERY_S = 10.0
"""How often a manifest by URL is written anew: most object stores cannot append."""


class ManifestError(ValueError):
    """A manifest cannot be read or written; the message names it and the line."""


@dataclass(frozen=True)
class ManifestLine:
    """What became of one input: digests, version, seconds of sound and of work, and the error, empty if there is none.

    `stamp` is the input's size and time of change, `bytes` the result's size.
    """

    input: str
    target: str
    stamp: str
    bytes: int
    input_hash: str
    settings_hash: str
    version: str
    seconds: float
    took_s: float
    error: str = ""


class Manifest:
    """The lines of a manifest by input; new ones are appended. For use by one process.

    Raises:
        ManifestError: a file is there that is no manifest; a last line that was cut off is left out.
        UrlError: it cannot be read.
    """

    def __init__(self, at: Place, settings_hash: str) -> None:
        self._at, self._settings_hash = at, settings_hash
        self._lines, self._is_cut_off = _read(at)
        self._written_s = time.monotonic()

    def holds(self, source: Place, target: Place, size: int | None) -> bool:
        """Return whether this version made `target` of `source` as it is now, with the same settings.

        `size` is what `target` has now, in bytes; None if it is not there.
        """
        line = self._lines.get(_named(source))
        if line is None or line.error or line.target != _named(target):
            return False
        if (line.settings_hash, line.version) != (self._settings_hash, version("gramophone")):
            return False
        try:
            return size == line.bytes and stamp(source) == line.stamp
        except (OSError, UrlError):
            return False

    def add(self, source: Place, target: Place, result: Rendered | str) -> None:
        """Append what became of an input.

        Raises:
            OSError, UrlError: it cannot be written.
        """
        made = parse_mark(result.made) if isinstance(result, Rendered) else None
        known = isinstance(result, Rendered)
        line = ManifestLine(
            input=_named(source),
            target=_named(target),
            stamp=stamp(source) if known else "",
            bytes=size_of(target) if known else 0,
            input_hash=made.input if made else "",
            settings_hash=self._settings_hash,
            version=version("gramophone"),
            seconds=result.seconds if isinstance(result, Rendered) else 0.0,
            took_s=round(result.took_s, 3) if isinstance(result, Rendered) else 0.0,
            error="" if isinstance(result, Rendered) else result,
        )
        self._lines[line.input] = line
        if isinstance(self._at, Path):
            with self._at.open("a", encoding="utf-8", errors="surrogateescape") as file:
                file.write("\n" * self._is_cut_off + json.dumps(asdict(line)) + "\n")
            self._is_cut_off = False
        elif time.monotonic() - self._written_s > _EVERY_S:
            self.close()

    def close(self) -> None:
        """Write what is not written yet.

        Raises:
            UrlError: it cannot be written.
        """
        if isinstance(self._at, Url) and self._lines:
            text = "".join(json.dumps(asdict(line)) + "\n" for line in self._lines.values())
            write(self._at, text.encode("utf-8", "surrogateescape"))
            self._written_s = time.monotonic()


def _named(place: Place) -> str:
    """Return the name of a place that is the same from whatever folder a run is started."""
    return str(place.absolute() if isinstance(place, Path) else place)


def _read(at: Place) -> tuple[dict[str, ManifestLine], bool]:
    """Return the lines by input, the last one of each, and whether the last of all was cut off."""
    try:
        with at.open("rb") if isinstance(at, Path) else opened(at) as file:
            text = file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, UrlMissingError):
        return {}, False
    except OSError as error:
        raise ManifestError(f"{at}: cannot be read: {error.strerror}") from None
    lines, found, is_whole = text.splitlines(), {}, text.endswith("\n") or not text
    names = {item.name for item in fields(ManifestLine)}
    for number, line in enumerate(lines, start=1):
        try:
            values: dict[str, Any] = json.loads(line)
            found[values["input"]] = ManifestLine(**{name: values[name] for name in names})
        except (ValueError, KeyError, TypeError):
            if line.strip() and not _may_be_cut_off(line, number == len(lines) and not is_whole):
                raise ManifestError(f"{at}, line {number}: no line of a manifest; use another --manifest") from None
    return found, not is_whole


def _may_be_cut_off(line: str, is_last: bool) -> bool:
    """Return whether a line is the beginning of one: the run was killed as it wrote, perhaps in an earlier run."""
    start = '{"input": '
    return line.startswith(start) or (is_last and start.startswith(line))
