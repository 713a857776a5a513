"""A row of the table of peers: many short files by two machines of a Ray cluster on loopback, against `--jobs 2`."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gramophone.offline.bench.batch import sound_file
from gramophone.offline.bench.contest import Contest, Duel, NotInstalledError
from gramophone.offline.bench.timing import LONG_CHAIN
from gramophone.offline.cluster.choice import EngineChoice
from gramophone.offline.render import RenderRequest, find_inputs, plan, render_all
from gramophone.presets import load
from gramophone.realtime.parameter_table import complete

_FILES, _SECONDS, _NODES = 24, 2, 2
_NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}


def nodes(stack: ExitStack, count: int = _NODES) -> tuple[str, Callable[[], None]]:
    """Start machines of one core on loopback; return their cluster's address and what takes the last one away.

    Raises:
        NotInstalledError: Ray is not installed.
    """
    try:
        import ray
        from ray.cluster_utils import Cluster
    except ImportError:
        raise NotInstalledError("ray is not installed") from None
    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    stack.callback(cluster.shutdown)
    stack.callback(ray.shutdown)
    more = [cluster.add_node(**_NODE) for _ in range(count - 1)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    return cluster.address, lambda: cluster.remove_node(more[-1], allow_graceful=False)


def short_files(folder: Path, count: int, seconds: int) -> Path:
    """Write so many copies of a voice, and return their folder."""
    folder.mkdir()
    first = sound_file(folder / "000.wav", seconds)
    for number in range(1, count):
        shutil.copy(first, folder / f"{number:03}.wav")
    return folder


def rendering(sources: Path, out: Path, engine: EngineChoice) -> Callable[[], None]:
    """Return what renders a folder through the long chain, anew each time.

    Raises:
        RuntimeError: by what is returned: a file failed.
    """
    request = RenderRequest(complete(load(LONG_CHAIN)))

    def render() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        work = plan(find_inputs([str(sources)]), out, request)
        outcome = render_all(work, request, engine.jobs, lambda _seconds: None, engine=engine)
        if outcome.failed:
            raise RuntimeError(f"rendering failed: {outcome.failed}")

    return render


def _ray(stack: ExitStack) -> Contest:
    address, _ = nodes(stack)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    sources = short_files(folder / "in", _FILES, _SECONDS)
    return Contest(
        rendering(sources, folder / "ray", EngineChoice("ray", address, _NODES)),
        rendering(sources, folder / "jobs", EngineChoice(jobs=_NODES)),
        _FILES * _SECONDS,
        calls=1,
        by_clock=True,
        runs=3,
    )


DUELS = (Duel("cluster", f"{_FILES} files of {_SECONDS} s, 2 cores", "times real time", "our --jobs 2", "", _ray),)
