"""The worker process from its start until it plays.

Loading its libraries takes longest of all, so that it is started before anything else is known and is sent what to play
later (`Play`). Nothing heavy is imported at the top of this file: it can be the first thing that a program imports.
"""

from __future__ import annotations

import gc
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection

from gramophone.realtime.live.messages import Complaint, Failed, Play, Warm
from gramophone.realtime.system.process_handle import ChildProcess
from gramophone.realtime.system.realtime_priority import HELPERS, belong_to_parent, real_time, share_heap
from gramophone.realtime.system.wakeup import Wake, make_wake

_COMPILED = ("latent", "wavenet")
"""Kinds of stages that are compiled for the machine."""


@dataclass(frozen=True)
class StandbyWorker:
    """A worker process without a preset, and the event that wakes it, which it can be given only as it is spawned."""

    worker: ChildProcess
    wake: Wake

    def close(self) -> None:
        """End a process that is not needed."""
        self.worker.kill()
        self.wake.close()


def start_standby_worker(wake: Wake | None = None) -> StandbyWorker:
    """Start a worker process, which `wake` wakes (None: the quickest that this system has), and return at once."""
    wake = wake or make_wake()
    return StandbyWorker(spawn_worker(wake), wake)


def spawn_worker(wake: Wake) -> ChildProcess:
    """Return a worker process that loads its libraries and then waits for `Play`."""
    return ChildProcess("gramophone worker", run_worker, wake)


def run_worker(wake: Wake, control: Connection) -> None:
    """Load every library, wait for `Play`, then play until `Stop` or until the parent process has gone.

    Another `Play` ends what plays, and begins anew without loading anything.
    """
    belong_to_parent()
    share_heap()
    gc.disable()  # loading makes much that stays and little that goes: looking through it took a fifth of the time
    import torch

    import gramophone.realtime.stages.style.processor  # noqa: F401 - with it comes all else that takes time to load
    from gramophone.presets import PresetError
    from gramophone.realtime.live.player import Player
    from gramophone.realtime.live.worker import Worker
    from gramophone.realtime.stage import StageError

    torch.set_num_threads(1)
    control.send(Warm())
    try:
        order = control.recv()
        while isinstance(order, Play):
            real_time(HELPERS)  # the device plays already
            with _compile_news(order, control):
                player = Player(order.preset, order.form, warm_up=order.warm_up)
            order = Worker(wake, player, order, control).run()
    except (PresetError, StageError) as error:
        control.send(Failed(str(error)))
    except EOFError:
        pass  # the control process has gone


def _compile_news(order: Play, control: Connection) -> AbstractContextManager[object]:
    """Return what reports the compiling of a chain; nothing where no stage compiles, as numba takes time to load."""
    if not any(stage.kind in _COMPILED for stage in order.preset.stages):
        return nullcontext()
    from gramophone.realtime.live.compile_news import CompileNews

    return CompileNews(lambda news: control.send(Complaint(news)))
