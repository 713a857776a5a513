"""One input through a preset, wherever it and its result are: what every engine does with each file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from gramophone.offline.console import in_words
from gramophone.offline.render.provenance import file_digest
from gramophone.offline.render.render_file import Rendered, RenderRequest, Tick, render_file
from gramophone.offline.urls import Place, fetch, store
from gramophone.presets import Preset
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.system.cache_folder import cache_folder

_MOST_CARRIED_BYTES = 48 << 20
"""More than that goes by a folder that all machines see: Ray's object store is small."""


def attempt(source: Place, target: Place, request: RenderRequest, tick: Tick) -> Rendered | str:
    """Render one input; return what it became, or why it failed: one bad file must not cost the others.

    What is at a URL is copied to a temporary folder first, under its own name, and the result from there.
    """
    try:
        if isinstance(source, Path) and isinstance(target, Path):
            return render_file(source, target, request, tick)
        return _by_copies(source, target, request, tick)
    except Exception as error:
        why = in_words(error)
        is_ours = isinstance(error, OSError) or type(error).__module__.partition(".")[0] == "gramophone"
        return why if is_ours else f"{type(error).__name__}: {why}"


def _by_copies(source: Place, target: Place, request: RenderRequest, tick: Tick) -> Rendered:
    with tempfile.TemporaryDirectory(prefix="gramophone-") as folder:
        here = source
        if not isinstance(here, Path):
            here = Path(folder) / "input" / here.name
            here.parent.mkdir()
            fetch(source, here)  # type: ignore[arg-type]
        if isinstance(target, Path):
            return render_file(here, target, request, tick)
        results = Path(folder) / "results"
        results.mkdir()
        done = render_file(here, results / target.name, request, tick)
        for file in results.iterdir():
            store(file, target.parent / file.name)
        return done


@dataclass(frozen=True)
class RenderCall:
    """`attempt` as a cluster calls it. The files that the preset names go along, for machines that have none of them.

    `carried` holds for a path its digest and content.
    """

    request: RenderRequest
    carried: dict[str, tuple[str, bytes]] = field(default_factory=dict, repr=False)

    @classmethod
    def carrying(cls, request: RenderRequest) -> RenderCall:
        """Return the call with the files of the request's preset, the smallest first, as far as there is room."""
        named = (value for stage in request.preset.stages for value in stage.values.values() if isinstance(value, str))
        files = sorted({Path(text) for text in named if text and Path(text).is_file()}, key=lambda x: x.stat().st_size)
        carried, room = {}, _MOST_CARRIED_BYTES
        for file in files:
            room -= file.stat().st_size
            if room >= 0:
                carried[str(file)] = file_digest(str(file)), file.read_bytes()
        return cls(request, carried)

    def __call__(self, pair: tuple[Place, Place]) -> Rendered | str:
        """Render a source into a target."""
        return attempt(*pair, replace(self.request, preset=self._unpacked(self.request.preset)), lambda _seconds: None)

    def _unpacked(self, preset: Preset) -> Preset:
        here = {text: _unpacked(text, *packed) for text, packed in self.carried.items()}
        changes = {
            (stage.name, key): here[value]
            for stage in preset.stages
            for key, value in stage.values.items()
            if isinstance(value, str) and value in here
        }
        return preset.with_values(dict(changes)) if changes else preset


def _unpacked(text: str, digest: str, content: bytes) -> str:
    """Return the path of a file with this content: the same as where it came from, if that is there, or a copy."""
    if file_digest(text) == digest:
        return text
    copy = cache_folder("carried", f"{digest}-{Path(text).name}")
    if file_digest(str(copy)) != digest:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(copy) as part:
            part.write_bytes(content)
    return str(copy)
