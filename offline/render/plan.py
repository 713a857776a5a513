"""What to do with every input: render it, skip it, or refuse it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from gramophone.offline.plotting.picture_file import picture_of
from gramophone.offline.render.inputs import Inputs
from gramophone.offline.render.manifest import Manifest
from gramophone.offline.render.provenance import Provenance, provenance, read_provenance
from gramophone.offline.render.render_file import RenderRequest
from gramophone.offline.urls import Place, Url, UrlError, sizes
from gramophone.presets.atomic import create_part
from gramophone.realtime.files import EXTENSIONS, AudioReader, SoundFileError


@dataclass(frozen=True)
class RenderPlan:
    """What to do with every input: `render` into a target; `done` before; `failed` already, with the reason.

    All targets are below the folder `out`.
    """

    render: tuple[tuple[Place, Place], ...]
    done: tuple[Place, ...]
    failed: dict[Place, str]
    out: Place


def plan(
    inputs: Inputs,
    out: Place,
    request: RenderRequest,
    *,
    overwrite: bool = False,
    manifest: Manifest | None = None,
) -> RenderPlan:
    """Decide the target of every input: `out/<stem>.wav`, or with the input's own ending if the format is kept.

    What was found in a folder has the same place below `out` as it has there. Inputs of which a file would be one and
    the same are refused, every one of them: whichever were taken, the other would be lost.
    A target that is there is done before if the same version made it of the same input with the same settings; any
    other is refused, unless told to `overwrite`; so is its picture. What the `manifest` of an earlier run holds is not
    read for that.

    Raises:
        UrlError: the folder for the results cannot be listed.
    """
    there = sizes(out) if isinstance(out, Url) else {}
    # What lacks nothing is also a result for those who would have taken one that lacks a stage.
    settings = request.settings, replace(request, allow_missing=False).settings
    look = _Look(settings, there, overwrite)
    named = (value for stage in request.preset.stages for value in stage.values.values() if isinstance(value, str))
    needed = {_real(place) for place in (*inputs.folders, *map(Path, named))}
    pairs = [(source, out / _result_name(source, folder, request)) for source, folder in inputs.folders.items()]
    files_of = {source: _files_of(source, target, request) for source, target in pairs}
    rivals = _rivals(files_of, out)
    render: list[tuple[Place, Place]] = []
    done: list[Place] = []
    failed: dict[Place, str] = dict(inputs.failed)
    for source, target in pairs:
        files = files_of[source]
        if source in rivals:
            failed[source] = rivals[source]
        elif _real(target) == _real(source):
            failed[source] = f"{target} is the input itself; choose another --out"
        elif _real(target) in needed:
            failed[source] = f"{target} is another input, or a file that the preset names; choose another --out"
        elif target.suffix not in EXTENSIONS:
            expected = f"expected {', '.join(EXTENSIONS)}; without --format it becomes a WAV"
            failed[source] = f"{target}: cannot write {target.suffix!r}; {expected}"
        elif not overwrite and manifest and manifest.holds(source, target, look.size(target)) and look.size(files[-1]):
            done.append(source)
        else:
            wanted = cache(partial(provenance, source, settings[0]))
            found = [look.found(file, wanted) for file in files]
            if why := next(filter(None, found), ""):
                failed[source] = why
            elif all(why is None for why in found):
                done.append(source)
            else:
                render.append((source, target))
    return RenderPlan(tuple(render), tuple(done), failed, out)


def _result_name(source: Place, folder: str, request: RenderRequest) -> str:
    is_recording = isinstance(source, Path) and source.is_dir()
    name = source.stem + (source.suffix.lower() if request.keep_format and not is_recording else ".wav")
    return f"{folder}/{name}" if folder else name


def _rivals(files_of: Mapping[Place, Sequence[Place]], out: Place) -> dict[Place, str]:
    """Return why not, for each input of which a file, sound or picture, would have the name of another's."""
    names = {str(file) for files in files_of.values() for file in files}
    differ = len({name.casefold() for name in names})
    is_folding = differ < len(names) and isinstance(out, Path) and folds_case(out)
    claims: dict[str, list[tuple[Place, Place]]] = defaultdict(list)
    for source, files in files_of.items():
        for file in files:
            claims[str(file).casefold() if is_folding else str(file)].append((source, file))
    why: dict[Place, str] = {}
    for claim in claims.values():
        if len(claim) > 1:
            (first, _), (second, _), *others = claim
            both = f"{first} and {second} would both" + f" (and {len(others)} more)" * bool(others)
            advice = "rename one, or use two --out"
            if first.parent != second.parent:
                advice += "; or give the folder that holds both, whose tree is kept"
            why = {each: f"{both} become {file}; {advice}" for each, file in claim} | why
    for source, files in files_of.items():
        for folder in {folder for file in files if isinstance(file, Path) for folder in file.parents}:
            for other, _ in claims.get(str(folder).casefold() if is_folding else str(folder), ()):
                both = f"{other} would become {folder}, the folder of what {source} would become"
                why |= dict.fromkeys((source, other), f"{both}; rename one, or use two --out")
    return why


def folds_case(folder: Path) -> bool:
    """Return whether names that differ in capitals only are one in a folder, or where it will be made.

    They are on most disks of macOS and Windows. Where nothing can be written, they are not known to be.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
    try:
        part = create_part(there / "name")
        is_folding = os.path.lexists(part.with_name(part.name.upper()))
        part.unlink()
    except OSError:
        return False
    return is_folding


def announced_seconds(work: RenderPlan) -> float:
    """Return how much sound the headers of the files to render announce, in s; by URL, or not readable: 0."""
    total = 0.0
    for source, _ in work.render:
        if isinstance(source, Path):
            with suppress(SoundFileError), AudioReader(source) as reader:
                total += reader.frames / reader.rate
    return total


def _obstacle(file: Path) -> str:
    """Return why the folder of a file cannot be made; empty if nothing is in its way."""
    nearest = next(folder for folder in file.absolute().parents if os.path.lexists(folder))
    return "" if nearest.is_dir() else f"{nearest} is there already, and no folder; choose another --out"


def _real(place: Place) -> str:
    return os.path.realpath(place) if isinstance(place, Path) else str(place)


def _files_of(source: Place, target: Place, request: RenderRequest) -> list[Place]:
    """Return what is written for one input: the sound, and its picture where one is wanted; a recording has none."""
    is_recording = isinstance(source, Path) and source.is_dir()
    return [target, picture_of(target)] if request.picture and not is_recording else [target]


@dataclass(frozen=True)
class _Look:
    """What is there already, for results with certain `settings`: digests, any of which will do.

    `there` has the names of what is there by URL.
    """

    settings: tuple[str, ...]
    there: Mapping[str, int]
    overwrite: bool

    def is_there(self, file: Place) -> bool:
        """Return whether anything has this name."""
        return os.path.lexists(file) if isinstance(file, Path) else str(file) in self.there

    def size(self, file: Place) -> int | None:
        """Return the size of a file in bytes; None if it is not there."""
        if isinstance(file, Url):
            return self.there.get(str(file))
        with suppress(OSError):
            return file.stat().st_size
        return None

    def found(self, file: Place, wanted: Callable[[], Provenance]) -> str | None:
        """Return why a sound or picture cannot be written; empty if nothing is in its way, None if it is there."""
        try:
            if not self.is_there(file):
                return "" if isinstance(file, Url) else _obstacle(file)
            if isinstance(file, Path) and (file.is_dir() if self.overwrite else not file.is_file()):
                return f"{file} is there already, and no file; choose another --out"
            if self.overwrite:
                return ""
            if difference := self._difference(file, wanted):
                return f"{file} is there already, {difference}; choose another --out, or --overwrite"
            if isinstance(file, Path) and file.suffix in EXTENSIONS:
                with AudioReader(file):  # a result that was cut short is none
                    return None
        except (SoundFileError, UrlError) as error:
            return str(error)
        except OSError as error:
            return f"{file}: {error.strerror or error}"
        return None

    def _difference(self, file: Place, wanted: Callable[[], Provenance]) -> str:
        """Return in words why a file that is there is not the wanted result; empty if it is."""
        made = read_provenance(file)
        if made is None:
            return "and gramophone did not make it"
        if made.settings in self.settings:
            made = replace(made, settings=self.settings[0])
        difference = made.difference(wanted())
        return f"made {difference}" if difference else ""
