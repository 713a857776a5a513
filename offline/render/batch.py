"""Many files at once, in processes of this machine or of a cluster: what happens to one costs no other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from multiprocessing.connection import wait
from pathlib import Path

from gramophone.offline.cluster.calls import InTurn, LostCall
from gramophone.offline.cluster.choice import EngineChoice, caller
from gramophone.offline.extras import need
from gramophone.offline.plotting.picture_file import picture_of
from gramophone.offline.render.attempt import RenderCall
from gramophone.offline.render.manifest import Manifest
from gramophone.offline.render.plan import RenderPlan
from gramophone.offline.render.render_file import Rendered, RenderRequest, Tick
from gramophone.offline.render.staging import Staging
from gramophone.offline.render.worker import RenderWorker
from gramophone.offline.urls import Place, Url, UrlError, private, size_of

Pairs = list[tuple[Place, Place]]
"""Sources and targets."""


@dataclass
class RenderOutcome:
    """What became of the inputs. `warnings` are about files that were read all the same."""

    rendered: list[Place] = field(default_factory=list)
    pictures: list[Place] = field(default_factory=list)
    skipped: list[Place] = field(default_factory=list)
    failed: dict[Place, str] = field(default_factory=dict)
    warnings: dict[Place, str] = field(default_factory=dict)
    seconds: float = 0.0
    """Sound rendered."""

    def add(self, source: Place, target: Place, result: Rendered | str) -> None:
        """Add what became of one input."""
        if isinstance(result, str):
            self.failed[source] = result
            return
        self.rendered.append(target)
        self.pictures += [picture_of(target)] if result.picture else []
        self.seconds += result.seconds
        others: list[tuple[Place, str]] = [(Path(path), text) for path, text in result.on_others]
        for place, text in (*((source, text) for text in result.remarks), *others):
            known = self.warnings.get(place, "")
            if text not in known:
                self.warnings[place] = f"{known}; {text}" if known else text


def render_all(
    work: RenderPlan,
    request: RenderRequest,
    jobs: int,
    tick: Tick,
    *,
    engine: EngineChoice | None = None,
    manifest: Manifest | None = None,
) -> RenderOutcome:
    """Render every file of `work`; what fails is named in the outcome and the others go on.

    `jobs` processes of this machine do it, or the `engine`. What a cluster makes, and what goes to a URL, is made in a
    hidden folder and moved into its place here, once. The `manifest` gets a line for each file. KeyboardInterrupt ends
    the workers and leaves no part of a file behind.

    Raises:
        MissingLibraryError: pictures are wanted, and matplotlib is not installed; or Ray or fsspec is not.
        ClusterError: there is no such cluster, or it has lost all its machines.
    """
    if request.picture:
        need("matplotlib")
    outcome = RenderOutcome(skipped=list(work.done), failed=dict(work.failed))
    choice = replace(engine or EngineChoice(), jobs=jobs)
    with _folders(work) as (pairs, failed):
        outcome.failed |= failed
        for source, target, result in _results(pairs, work.out, request, choice, tick):
            outcome.add(source, target, result)
            if manifest:
                manifest.add(source, target, result)
    if manifest:
        manifest.close()
    return outcome


@contextmanager
def _folders(work: RenderPlan) -> Iterator[tuple[Pairs, dict[Place, str]]]:
    """Make the folders of the results, and at the end of the `with` block remove those that are still empty.

    Yields the pairs whose folders are there, and why not for the other sources.
    """
    made: list[Path] = []
    why: dict[Place, str] = {}
    for folder in dict.fromkeys(target.parent for _, target in work.render):
        if isinstance(folder, Path):
            made += takewhile(lambda each: not each.exists(), (folder, *folder.parents))
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                why[folder] = f"{folder}: cannot be made: {error.strerror or error}"
    try:
        there = [pair for pair in work.render if pair[1].parent not in why]
        yield there, {source: why[target.parent] for source, target in work.render if target.parent in why}
    finally:
        for folder in sorted(made, key=lambda each: -len(each.parts)):
            with suppress(OSError):
                folder.rmdir()


def _results(
    pairs: Pairs, out: Place, request: RenderRequest, choice: EngineChoice, tick: Tick
) -> Iterator[tuple[Place, Place, Rendered | str]]:
    """Yield each pair with what it became, or why it failed, in the order in which they are done."""
    if choice.jobs != 1:  # the longest first, so that no worker is left alone with a long file at the end
        pairs = sorted(pairs, key=lambda pair: -_size(pair[0]))
    if not pairs:
        return
    if choice.name == "local" and all(isinstance(target, Path) for _, target in pairs):
        yield from _by_processes(pairs, request, choice.jobs, tick)
        return
    with Staging(out) as staging:
        places = {(source, staging.staged(number, target)): target for number, (source, target) in enumerate(pairs)}
        staged = list(places)
        by_engine = (
            _by_processes(staged, request, choice.jobs, tick)
            if choice.name == "local"
            else _by_cluster(staged, request, choice, tick)
        )
        for source, made, result in by_engine:
            target = places[source, made]
            if isinstance(result, Rendered):
                try:
                    staging.publish(made, target)
                except (OSError, UrlError) as error:
                    result = f"{target}: cannot be written: {error}"
            yield source, target, result


def _by_cluster(
    pairs: Pairs, request: RenderRequest, choice: EngineChoice, tick: Tick
) -> Iterator[tuple[Place, Place, Rendered | str]]:
    private_url = private(place for pair in pairs for place in pair)
    if private_url:
        raise UrlError(f"{private_url}: {private_url.scheme}:// is of one process, which others do not see")
    absolute = [(_absolute(source), _absolute(target)) for source, target in pairs]
    given = dict(zip(absolute, pairs, strict=True))
    with caller(choice) as cluster:
        for pair, result in cluster.results(RenderCall.carrying(request), absolute):
            if isinstance(result, Rendered):
                tick(result.seconds)
            yield *given[pair], result.why if isinstance(result, LostCall) else result


def _absolute(place: Place) -> Place:
    """Return a path as other processes understand it."""
    return place.absolute() if isinstance(place, Path) else place


def _by_processes(
    pairs: Pairs, request: RenderRequest, jobs: int, tick: Tick
) -> Iterator[tuple[Place, Place, Rendered | str]]:
    if private(place for pair in pairs for place in pair):
        call = RenderCall(request)
        for pair, result in InTurn().results(call, pairs):
            assert not isinstance(result, LostCall)
            yield *pair, result
        return
    waiting = deque(pairs)
    idle: list[RenderWorker] = []
    busy: dict[RenderWorker, tuple[Place, Place]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                worker = idle.pop() if idle else RenderWorker(request)
                busy[worker] = waiting.popleft()
                worker.start(*busy[worker])
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                message = worker.receive()
                if isinstance(message, float):
                    tick(message)
                    continue
                yield *busy.pop(worker), message
                if worker.is_alive:
                    idle.append(worker)
    finally:
        for worker in (*busy, *idle):
            worker.end()


def _size(place: Place) -> int:
    if isinstance(place, Url):
        return 0
    with suppress(OSError):
        return size_of(place)
    return 0
