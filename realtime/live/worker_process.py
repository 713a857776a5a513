"""The worker process from its start until it plays.

Loading its libraries takes longest of all, so that it is started before anything else is known and is sent what to play
later (`Play`). Nothing heavy is imported at the top of this file: it can be the first thing that a program imports.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gramophone.realtime.live.messages import Failed, Play, Resumed, Warm
from gramophone.realtime.system.control_link import ControlLink, end_on_sigterm, send_descriptor
from gramophone.realtime.system.process_handle import ChildProcess
from gramophone.realtime.system.realtime_priority import HELPERS, belong_to_parent, real_time, share_heap
from gramophone.realtime.system.wakeup import Wake, make_wake

_LONGER_S = 10.0
"""How much longer a worker waits for a controller than the audio process, which fades the sound out."""


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
    """Load every library, wait for `Play`, then play until `Stop` or until no controller is there any more.

    Another `Play` ends what plays, and begins anew without loading anything.
    """
    orders: list[Play] = []
    belong_to_parent(outlives=lambda: bool(orders and orders[0].home))
    share_heap()
    gc.disable()  # loading makes much that stays and little that goes: looking through it took a fifth of the time
    load_libraries()
    control.send(Warm())
    try:
        order = control.recv()
    except EOFError:
        return  # the control process has gone
    if isinstance(order, Play):
        orders.append(order)
        _play(wake, order, control)


def load_libraries() -> None:
    """Load all that takes time to load and that presets of most kinds need.

    torch is no part of it: what plays does without (`prepared`), and stages that need it, such as TorchScript's, load
    it as they are made.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # NumPy and torch read it as they are loaded
    _load_numba()
    import gramophone.realtime.live.worker
    import gramophone.realtime.stages.effects.stage
    import gramophone.realtime.stages.latent.latent_transform
    import gramophone.realtime.stages.latent.voice_codec
    import gramophone.realtime.stages.style.processor
    import gramophone.realtime.stages.voice_conditioner  # noqa: F401
    from gramophone.realtime.dsp.meters import BlockMeter

    BlockMeter().measure()  # with the first kernel, numba makes what all kernels use


def _load_numba() -> None:
    """Import numba without SciPy, of which it wants the version, and without YAML where it has no settings in that."""
    names = {"scipy"} if Path(".numba_config.yaml").exists() else {"scipy", "yaml"}
    left_out: dict[str, Any] = dict.fromkeys(names - sys.modules.keys())  # None: it cannot be imported
    sys.modules |= left_out
    try:
        import numba  # noqa: F401
    finally:
        for name in left_out:
            del sys.modules[name]


def _play(wake: Wake, order: Play, control: Connection) -> None:
    from gramophone.presets import PresetError
    from gramophone.realtime.live.compilation import CompileCountdown, compiled_by_others, note_loaded
    from gramophone.realtime.live.player import Player
    from gramophone.realtime.live.status import ENDED, ENDING
    from gramophone.realtime.live.worker import LogSender, Worker
    from gramophone.realtime.stage import StageError

    status = order.shared.status
    playing: list[Worker] = []

    def greet(connection: Connection) -> None:
        send_descriptor(connection, wake.fileno())
        connection.send(Resumed(playing[0].generation if playing else order.generation, order.form.rate))
        if playing:
            connection.send(playing[0].left_out)

    def end() -> None:
        if status["ending"]:  # asked again: the audio process may be gone
            os._exit(1)
        status["ending"] = ENDING

    patience_s = order.patience_s + _LONGER_S
    link = ControlLink(control, order.home, patience_s, greet, lambda: status["ending"] == ENDED)
    if order.home:
        end_on_sigterm(link, end)
    current: Play | None = order
    try:
        while current:
            real_time(HELPERS)  # the device plays already
            with (
                LogSender(link.send),
                CompileCountdown(current.preset, link.send),
                compiled_by_others(current.preset, current.form),
            ):
                player = Player(current.preset, current.form, warm_up=current.warm_up)
            note_loaded(current.preset, current.form)
            playing[:] = [Worker(wake, player, current, link)]
            current = playing[0].run()
    except (PresetError, StageError) as error:
        link.send(Failed(str(error)))
