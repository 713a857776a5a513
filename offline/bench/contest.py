"""One row of the table of peers: the same work done by us and by a peer, in turn, and the ratio of their times."""

from __future__ import annotations

import gc
import importlib.metadata
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch

from gramophone.offline.bench.timing import cold

RUNS = 9


class NotInstalledError(RuntimeError):
    """A peer cannot be measured here; the message says what is missing."""


@dataclass(frozen=True)
class Contest:
    """The same work twice: a call of ours and one of a peer's.

    `amount` is how much work a call does, in the row's unit; `calls` how many follow each other in a run. With
    `is_cold` 64 MB are written before every call. `by_clock` takes the time of the clock, for work in several
    processes; else it is processor time of the calling thread, which other programs hardly change.
    """

    ours: Callable[[], object]
    theirs: Callable[[], object]
    amount: float = 1.0
    calls: int = 20
    is_cold: bool = False
    by_clock: bool = False
    runs: int = RUNS


@dataclass(frozen=True)
class Woven:
    """The same work twice, the peer's step by step between ours, so that neither meets a slower moment of the machine.

    `both` does it once and returns the processor time of the calling thread that each took, in s: ours and the peer's.
    """

    both: Callable[[], tuple[float, float]]
    amount: float
    runs: int = RUNS


@dataclass(frozen=True)
class Duel:
    """A row before it is measured: its name, the work, the unit a second, the peer, and what sets both up.

    `package` is the peer's distribution, whose version stands where `peer` has `{}`; empty where it is none.
    """

    name: str
    work: str
    unit: str
    peer: str
    package: str
    make: Callable[[ExitStack], Contest | Woven]

    @property
    def command(self) -> str:
        """What measures this row alone."""
        return f"python -m gramophone.offline.bench peers --only {self.name}"

    @property
    def peer_version(self) -> str:
        """The peer's name and version.

        Raises:
            NotInstalledError: it is not installed.
        """
        if not self.package:
            return self.peer
        try:
            return self.peer.format(importlib.metadata.version(self.package))
        except importlib.metadata.PackageNotFoundError:
            raise NotInstalledError(f"{self.package} is not installed") from None


@dataclass(frozen=True)
class BenchRow:
    """A measured row: work a second of ours and of the peer's, and how many times quicker we are: median and spread.

    Work is in `unit`; `low` and `high` are the least and the greatest ratio of the `runs`, each of one turn of both.
    """

    name: str
    work: str
    unit: str
    peer: str
    command: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    runs: int


def measured(duel: Duel, runs: int = 0) -> BenchRow:
    """Return the row of a duel, of `runs` turns; 0: as many as it has.

    Raises:
        NotInstalledError: the peer is not here.
    """
    peer = duel.peer_version
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ExitStack() as stack, torch.inference_mode():
            contest = duel.make(stack)
            times = _times(contest, runs or contest.runs)
    finally:
        torch.set_num_threads(threads)
    ratios = times[:, 1] / times[:, 0]
    per_second = contest.amount / np.median(times, axis=0)
    return BenchRow(
        duel.name,
        duel.work,
        duel.unit,
        peer,
        duel.command,
        ours=_significant(per_second[0]),
        theirs=_significant(per_second[1]),
        ratio=_significant(np.median(ratios)),
        low=_significant(ratios.min()),
        high=_significant(ratios.max()),
        runs=len(ratios),
    )


def _times(contest: Contest | Woven, runs: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the seconds of a call, `(runs, 2)`: ours and theirs, the median of the calls of a turn."""
    if isinstance(contest, Woven):
        contest.both()
        return np.array([contest.both() for _ in range(runs)])
    both = (contest.ours, contest.theirs)
    for call in both:  # compiles, and fills what is kept from call to call
        call()
    gc.collect()
    clock = time.perf_counter if contest.by_clock else time.thread_time
    return np.array([[_turn(call, contest, clock) for call in both] for _ in range(runs)])


def _turn(call: Callable[[], object], contest: Contest, clock: Callable[[], float]) -> float:
    if contest.is_cold:
        return float(np.median(cold({"": call}, contest.calls, warm_up=2, clock=clock)[""])) / 1000
    call()
    gc.disable()
    try:
        start = clock()
        for _ in range(contest.calls):
            call()
        return (clock() - start) / contest.calls
    finally:
        gc.enable()


def _significant(value: float) -> float:
    return float(f"{value:.3g}")
