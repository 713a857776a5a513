"""The sound files that names on the command line stand for."""

from __future__ import annotations

import glob
import os
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gramophone.offline.render.provenance import digest_of, encoded_name, read_provenance
from gramophone.offline.urls import Place, Url, UrlError, folder_below, listed, parse_place
from gramophone.realtime.files import OTHER_ENDINGS, READABLE_ENDINGS
from gramophone.realtime.live.replay import is_recording, segments_of

_APPLE_DOUBLE = b"\x00\x05\x16\x07"
"""How the files begin that macOS lays beside others, as `._name`, on disks and in archives that are not its own."""
_APPLE_FOLDER = "__MACOSX"
_NO_SOUND = f"no sound file there; expected a file, folder or pattern of {', '.join(READABLE_ENDINGS)}"


@dataclass
class Inputs:
    """Files to render; names in vain, with why; and files left aside, with what they are.

    `folders` has where each file lies below the folder or pattern that it was found by; empty if it was named outright.
    """

    folders: dict[Place, str] = field(default_factory=dict)
    failed: dict[Place, str] = field(default_factory=dict)
    aside: dict[Place, str] = field(default_factory=dict)

    @property
    def files(self) -> list[Place]:
        """The files, in the order in which they were found."""
        return list(self.folders)


def find_inputs(names: Iterable[str], out: Place | None = None) -> Inputs:
    """Return the sound files that `names` (files, folders, patterns, and URLs of these) stand for, each once.

    A file named outright is taken whatever its ending. Folders are searched to the bottom by ending; a folder that
    `gramophone play --record` made is one input, to be played again. In what is searched, results of other files in it
    and everything in `out`, the folder for the results, are no inputs, nor is what macOS keeps beside files. Of what is
    named twice, the first time counts.
    """
    inputs, searched = Inputs(), _Search(out if isinstance(out, Path) else None)
    found: dict[str, tuple[Path, str]] = {}
    remote: dict[Place, str] = {}
    for name in names:
        path = parse_place(name)
        try:
            if isinstance(path, Url):
                for url in _by_url(path, out):
                    remote.setdefault(url, folder_below(url, path))
                continue
            if path.exists() and not (path.is_dir() and not is_recording(path)):
                for each in segments_of(path) if path.is_dir() else [_itself(path)]:
                    _add(found, each, "")
                continue
            root, rest = (path, "") if path.is_dir() else _fixed_part(path)
            files = list(searched.pattern(root, rest) if rest else searched.folder(path))
        except UrlError as error:
            inputs.failed[path] = str(error)
            continue
        except (OSError, ValueError) as error:
            inputs.failed[path] = getattr(error, "strerror", None) or str(error)
            continue
        if not files and path not in searched.failed:
            inputs.failed[path] = _NO_SOUND
        for file in files:
            below = file.parent.relative_to(root)
            _add(found, file, below.as_posix() if below.parts and ".." not in below.parts else "")
    inputs.failed |= searched.failed
    results = _results_of_others([file for file, _ in found.values()], searched.found)
    inputs.aside = searched.aside | results
    inputs.folders.update((file, folder) for file, folder in found.values() if file not in results)
    inputs.folders.update(remote)
    return inputs


def _add(found: dict[str, tuple[Path, str]], file: Path, folder: str) -> None:
    """Add a file to those found, by where it really lies; its own name goes before those of links to it."""
    real = os.path.realpath(file)
    if real not in found or (found[real][0].is_symlink() and not file.is_symlink()):
        found[real] = file, folder


def _fixed_part(pattern: Path) -> tuple[Path, str]:
    """Return a pattern in two: what of it is there as it stands, which is no pattern, and the rest."""
    parts = pattern.parts
    literal = next((i for i in range(len(parts), 0, -1) if _is_there(Path(*parts[:i]))), 0)
    return Path(*parts[:literal]), str(Path(*parts[literal:])) if literal < len(parts) else ""


def _by_url(url: Url, out: Place | None) -> list[Url]:
    """Return the sound files that a URL stands for, without those in the folder for the results.

    Raises:
        UrlError: there are none, or they cannot be listed.
    """
    found = listed(url)
    if found == [url]:
        return found
    own = f"{str(out).rstrip('/')}/"
    sounds = [file for file in found if file.suffix.lower() in READABLE_ENDINGS and not str(file).startswith(own)]
    if not sounds:
        raise UrlError(f"{url}: {_NO_SOUND}")
    return sounds


class _Search:
    """Searches folders and patterns; keeps what could not be searched and what is left aside."""

    def __init__(self, out: Path | None) -> None:
        self._out = os.path.realpath(out) if out else None
        self.failed: dict[Place, str] = {}
        self.aside: dict[Place, str] = {}
        self.found: set[Path] = set()

    def folder(self, root: Path) -> Iterator[Path]:
        """Yield the sound files and recordings below a folder, what links lead to last: it may have a place there."""
        visited: set[str] = set()
        tops = deque([root])
        while tops:
            top = tops.popleft()
            if (real := os.path.realpath(top)) not in visited:
                visited.add(real)
                yield from self._tree(top, root, visited, tops)

    def _tree(self, top: Path, root: Path, visited: set[str], links: deque[Path]) -> Iterator[Path]:
        """Yield what is below a folder `top`, the folders of `visited` left out; links to folders go to `links`."""
        for folder, folders, files in os.walk(top, onerror=self._note):
            here = Path(folder)
            for name in sorted(folders):
                below = here / name
                real = os.path.realpath(below)
                if is_recording(below):
                    yield from segments_of(below)
                elif name != _APPLE_FOLDER and real not in visited and not self._is_out(real, root):
                    if not below.is_symlink():
                        visited.add(real)
                        continue
                    links.append(below)
                folders.remove(name)
            folders.sort()
            for name in sorted(files):
                ending = Path(name).suffix.lower()
                if ending in READABLE_ENDINGS:
                    yield from self._take(here / name)
                elif ending in OTHER_ENDINGS and not self._is_apple_double(here / name):
                    self.aside[here / name] = f"{ending} is not read; `ffmpeg -i IN OUT.wav` converts it"

    def pattern(self, root: Path, rest: str) -> Iterator[Path]:
        """Yield what a pattern matches below a folder."""
        # Path.glob knows no absolute patterns, and sees hidden files.
        pattern = os.path.join(glob.escape(str(root)), rest) if root.parts else rest  # noqa: PTH118
        for match in map(Path, sorted(glob.glob(pattern, recursive=True))):  # noqa: PTH207
            if _APPLE_FOLDER in match.parts or self._is_out(os.path.realpath(match), root):
                continue
            if match.is_dir():
                yield from segments_of(match) if is_recording(match) else self.folder(match)
            else:
                yield from self._take(match)

    def _take(self, file: Path) -> Iterator[Path]:
        if self._is_apple_double(file):
            self.aside[file] = "what macOS keeps beside a file, no sound"
        else:
            self.found.add(file)
            yield file

    def _is_apple_double(self, file: Path) -> bool:
        return file.name.startswith("._") and _begins_with(file, _APPLE_DOUBLE)

    def _is_out(self, real: str, root: Path) -> bool:
        """Whether a path lies in the folder for the results, which lies in what is searched."""
        if self._out is None or (os.path.realpath(root) + os.sep).startswith(self._out + os.sep):
            return False
        return (real + os.sep).startswith(self._out + os.sep)

    def _note(self, error: OSError) -> None:
        self.failed[Path(error.filename)] = f"cannot be searched: {error.strerror}"


def _results_of_others(files: Iterable[Path], searched: set[Path]) -> dict[Place, str]:
    """Return the searched files that are marked as results of others among `files`: those of the same stem.

    In a tree of results many have the names of each other's inputs, so it is by the input's content that one is known.
    """
    stems: dict[str, list[Path]] = defaultdict(list)
    digest = cache(digest_of)
    for file in files:
        stems[file.stem].append(file)
    results: dict[Place, str] = {}
    for group in stems.values():
        for file in group if len(group) > 1 else []:
            with suppress(OSError):
                made = read_provenance(file) if file in searched and file.is_file() else None
                named = [other for other in group if other != file and made and encoded_name(other) == made.name]
                if made and any(digest(other) == made.input for other in named):
                    results[file] = "a result of another input"
    return results


def _itself(path: Path) -> Path:
    """Return the file behind a name such as /dev/stdin, which is another file in another process."""
    real = Path(os.path.realpath(path))
    return real if path.parts[:2] in (("/", "dev"), ("/", "proc")) and real.is_file() else path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False
