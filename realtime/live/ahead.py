"""A worker process that starts before anything else is known: loading its libraries takes longest of all.

What it works on it is told later (`Play`). Nothing heavy is imported here, so that it can be the first thing done.
"""

from __future__ import annotations

from dataclasses import dataclass

from gramophone.realtime.live.worker_process import run_worker
from gramophone.realtime.system.process_handle import ChildProcess
from gramophone.realtime.system.wakeup import Wake, make_wake


@dataclass(frozen=True)
class StandbyWorker:
    """The process, and the bell that wakes it: a bell can be handed to a process only while that is spawned."""

    worker: ChildProcess
    wake: Wake

    def close(self) -> None:
        """End a process that nobody has work for."""
        self.worker.kill()
        self.wake.close()


def start_ahead() -> StandbyWorker:
    """Start a worker and return at once."""
    wake = make_wake()
    return StandbyWorker(spawn_worker(wake), wake)


def spawn_worker(wake: Wake) -> ChildProcess:
    """Return a worker process that loads its libraries and then waits for `Play`."""
    return ChildProcess("gramophone worker", run_worker, wake)
