"""Bench: many short files by two machines of a Ray cluster on loopback, one taken away half-way, beside `--jobs 2`."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gramophone.offline.bench.peer_cluster import nodes, rendering, short_files
from gramophone.offline.bench.timing import LONG_CHAIN
from gramophone.offline.cluster.choice import EngineChoice
from gramophone.offline.render import RenderRequest, find_inputs, open_manifest, plan, render_all
from gramophone.presets import load
from gramophone.realtime.parameter_table import complete

_SECONDS, _JOBS = 1, 2
_STAT_TIMES = slice(13, 17)
"""User and system time, own and of children that ended, in `/proc/PID/stat` (proc(5), from 0)."""


def measure(files: int) -> dict[str, object]:
    """Return seconds by the clock and of all processes, how far Ray is over `--jobs`, and what a lost machine costs.

    Linux only: processor times are read from `/proc`.

    Raises:
        NotInstalledError: Ray is not installed.
        RuntimeError: a file failed.
    """
    load_before = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sources = short_files(folder / "in", files, _SECONDS)
        jobs = rendering(sources, folder / "jobs", EngineChoice(jobs=_JOBS))
        jobs_s, jobs_cpu = _timed(jobs)
        start = time.perf_counter()
        address, take_away = nodes(stack)
        started_s = time.perf_counter() - start
        engine = EngineChoice("ray", address, _JOBS)
        rendering(short_files(folder / "few", 2 * _JOBS, _SECONDS), folder / "warm", engine)()
        ray_s, ray_cpu = _timed(rendering(sources, folder / "ray", engine))
        killed = _Killed(sources, folder / "killed", engine, files // 2, take_away)
        killed_s, _ = _timed(killed)  # what the lost machine spent is lost with it
        return {
            "files": files,
            "seconds_each": _SECONDS,
            "jobs": {"s": round(jobs_s, 1), "cpu_s": round(jobs_cpu, 1)},
            "ray": {"s": round(ray_s, 1), "cpu_s": round(ray_cpu, 1)},
            "ray_starts_s": round(started_s, 1),
            "over_jobs": {"by_clock": round(ray_s / jobs_s - 1, 3), "by_cpu": round(ray_cpu / jobs_cpu - 1, 3)},
            "one_machine_lost": {"s": round(killed_s, 1), **killed.found(folder / "jobs")},
            "load": f"{load_before:.1f} to {os.getloadavg()[0]:.1f}",
        }


class _Killed:
    """Renders with a manifest, and takes a machine away after some files."""

    def __init__(
        self, sources: Path, out: Path, engine: EngineChoice, after: int, take_away: Callable[[], None]
    ) -> None:
        self._sources, self._out, self._engine, self._left, self._take_away = sources, out, engine, after, take_away

    def __call__(self) -> None:
        self._out.mkdir()
        request = RenderRequest(complete(load(LONG_CHAIN)))
        manifest = open_manifest(self._out / "manifest.jsonl", request)
        work = plan(find_inputs([str(self._sources)]), self._out, request)
        outcome = render_all(work, request, _JOBS, self._tick, engine=self._engine, manifest=manifest)
        if outcome.failed:
            raise RuntimeError(f"rendering failed: {outcome.failed}")

    def _tick(self, _seconds: float) -> None:
        self._left -= 1
        if not self._left:
            self._take_away()

    def found(self, expected: Path) -> dict[str, object]:
        """Return whether all results are there once, and are those of another folder to the byte."""
        lines = Counter(json.loads(line)["input"] for line in (self._out / "manifest.jsonl").read_text().splitlines())
        same = all((self._out / path.name).read_bytes() == path.read_bytes() for path in expected.iterdir())
        there = len(list(self._out.glob("*.wav")))
        return {"results": there, "each_once": set(lines.values()) == {1}, "identical_to_jobs": same}


def _timed(call: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of a call by the clock, and of the processor in this process and all below it."""
    clock, spent = time.perf_counter(), _tree_seconds()
    call()
    return time.perf_counter() - clock, _tree_seconds() - spent


def _tree_seconds() -> float:
    """Return the processor seconds of this process, of those below it, and of those that they have waited for."""
    stats = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            times = sum(map(int, fields[_STAT_TIMES.start - 2 : _STAT_TIMES.stop - 2]))
            stats[int(entry.name)] = int(fields[1]), times
    family, total = {os.getpid()}, 0
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in stats.items() if parent in family} - family
        family |= more
        grown = bool(more)
    total = sum(stats[pid][1] for pid in family if pid in stats)
    return total / os.sysconf("SC_CLK_TCK")
