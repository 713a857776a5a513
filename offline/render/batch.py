"""Many files at once, in worker processes: what happens to one costs no other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from gramophone.offline.extras import need
from gramophone.offline.render.plan import RenderPlan
from gramophone.offline.render.render_file import Rendered, RenderRequest, Tick
from gramophone.offline.render.worker import RenderWorker


@dataclass
class RenderOutcome:
    """What became of the inputs. `warnings` are about files that were rendered all the same."""

    rendered: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    warnings: dict[Path, str] = field(default_factory=dict)
    seconds: float = 0.0
    """Sound rendered."""


def render_all(work: RenderPlan, request: RenderRequest, jobs: int, tick: Tick) -> RenderOutcome:
    """Render every file of `work` with `jobs` processes; what fails is named in the outcome and the others go on.

    KeyboardInterrupt ends the workers and leaves no part of a file behind.

    Raises:
        MissingLibraryError: pictures are wanted, and matplotlib is not installed.
    """
    if request.picture:
        need("matplotlib")
    outcome = RenderOutcome(skipped=list(work.done), failed=dict(work.failed))
    for source, target, result in _results(work, request, jobs, tick):
        if isinstance(result, str):
            outcome.failed[source] = result
        else:
            outcome.rendered.append(target)
            outcome.seconds += result.seconds
            if result.remarks:
                outcome.warnings[source] = "; ".join(result.remarks)
    return outcome


def _results(
    work: RenderPlan, request: RenderRequest, jobs: int, tick: Tick
) -> Iterator[tuple[Path, Path, Rendered | str]]:
    """Yield each pair with what it became, or why it failed, in the order in which they are done."""
    # The longest first, so that no worker is left alone with a long file at the end.
    waiting = deque(sorted(work.render, key=lambda pair: -_size(pair[0])) if jobs > 1 else work.render)
    idle: list[RenderWorker] = []
    busy: dict[RenderWorker, tuple[Path, Path]] = {}
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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
