"""What to do with every input: render it, skip it, or refuse it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gramophone.offline.render.manifest import Manifest
from gramophone.offline.render.provenance import provenance, read_provenance
from gramophone.offline.render.render_file import RenderRequest
from gramophone.offline.urls import Place, Url, UrlError, sizes
from gramophone.realtime.files import EXTENSIONS, AudioReader, SoundFileError


@dataclass(frozen=True)
class RenderPlan:
    """What to do with every input: `render` into a target; `done` before; `failed` already, with the reason."""

    render: tuple[tuple[Place, Place], ...]
    done: tuple[Place, ...]
    failed: dict[Place, str]


def plan(
    inputs: Sequence[Place],
    out: Place,
    request: RenderRequest,
    *,
    suffix: str | None = ".wav",
    overwrite: bool = False,
    manifest: Manifest | None = None,
) -> RenderPlan:
    """Decide the target `out/<stem><suffix>` of every input (`suffix=None`: the input's own ending).

    Inputs that would become one file are refused, every one of them: whichever were taken, the other would be lost.
    A target that is there is done before if the same version made it of the same input with the same settings; any
    other is refused, unless told to `overwrite`. What the `manifest` of an earlier run holds is not read for that.

    Raises:
        UrlError: the folder for the results cannot be listed.
    """
    there = sizes(out) if isinstance(out, Url) else {}
    targets: dict[Place, list[Place]] = defaultdict(list)
    for path in inputs:
        ending = ".wav" if isinstance(path, Path) and path.is_dir() else suffix or path.suffix.lower()
        targets[out / (path.stem + ending)].append(path)
    render: list[tuple[Place, Place]] = []
    done: list[Place] = []
    failed: dict[Place, str] = {}
    for target, sources in targets.items():
        source = sources[0]
        if len(sources) > 1:
            both = " and ".join(map(str, sources))
            failed |= dict.fromkeys(sources, f"{both} would both become {target}; rename one or use two folders")
        elif _real(target) == _real(source):
            failed[source] = f"{target} is the input itself; choose another --out"
        elif target.suffix not in EXTENSIONS:
            failed[source] = f"{target}: cannot write {target.suffix!r}; expected {', '.join(EXTENSIONS)}"
        elif manifest and not overwrite and manifest.holds(source, target):
            done.append(source)
        else:
            try:
                if isinstance(target, Path):
                    why = "" if overwrite and not target.is_dir() else _found_there(source, target, request)
                else:
                    why = _difference(source, target, request) if str(target) in there and not overwrite else ""
            except (SoundFileError, UrlError) as error:
                why = str(error)
            except OSError as error:
                why = f"{target}: {error.strerror or error}"
            if why is None:
                done.append(source)
            elif why:
                failed[source] = why
            else:
                render.append((source, target))
    return RenderPlan(tuple(render), tuple(done), failed)


def announced_seconds(work: RenderPlan) -> float:
    """Return how much sound the headers of the files to render announce, in s; by URL, or not readable: 0."""
    total = 0.0
    for source, _ in work.render:
        if isinstance(source, Path):
            with suppress(SoundFileError), AudioReader(source) as reader:
                total += reader.frames / reader.rate
    return total


def _real(place: Place) -> str:
    return os.path.realpath(place) if isinstance(place, Path) else str(place)


def _found_there(source: Place, target: Path, request: RenderRequest) -> str | None:
    """Return why `target` cannot be written; empty if nothing is there, None if the wanted result is."""
    if not os.path.lexists(target):
        return ""
    if not target.is_file():
        return f"{target} is there already, and no file; choose another --out"
    why = _difference(source, target, request)
    if why is None:
        with AudioReader(target):  # a result that was cut short is none
            return None
    return why


def _difference(source: Place, target: Place, request: RenderRequest) -> str | None:
    """Return why a target that is there is not the wanted result; None if it is."""
    made = read_provenance(target)
    if made is None:
        return f"{target} is there already, and gramophone did not make it; choose another --out, or --overwrite"
    difference = made.difference(provenance(source, request.preset, request.tail))
    return f"{target} is there already, made {difference}; choose another --out, or --overwrite" if difference else None
