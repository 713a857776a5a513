"""Trials side by side: one engine in each of several processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Self

from gramophone.offline.match.search import Positions
from gramophone.offline.match.trial import Task, Trial


class Workers:
    """Evaluates places by `count` processes; with one, in this process. For a `with` block."""

    def __init__(self, task: Task, count: int) -> None:
        self.count = count
        # spawn: a fork would copy the parent's threads' locks; macOS and Windows spawn anyway.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, initializer=_start, initargs=(task,)) if count > 1 else None
        self._trial = None if self._pool else Trial(task)

    def __call__(self, places: Sequence[Positions]) -> list[float]:
        """Return the distance of each place, in dB.

        Raises:
            MatchError: the chain does not play.
        """
        if self._trial:
            return [self._trial(place.tolist()) for place in places]
        assert self._pool
        share = -(-len(places) // self.count)
        return list(self._pool.map(_evaluate, places, chunksize=share))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._trial:
            self._trial.close()
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)


_trial: Trial


def _start(task: Task) -> None:
    import torch

    global _trial
    torch.set_num_threads(1)  # one process a core: more threads only get in each other's way
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the search
    _trial = Trial(task)


def _evaluate(place: Positions) -> float:
    return _trial(place.tolist())
