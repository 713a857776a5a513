"""What a worker process does from its first moment until it plays; nothing that is slow to load is imported above."""

from __future__ import annotations

import gc
from multiprocessing.connection import Connection

from gramophone.realtime.live.messages import Failed, Play, Warm
from gramophone.realtime.system.realtime_priority import HELPERS, belong_to_parent, real_time, share_heap
from gramophone.realtime.system.wakeup import Wake


def run_worker(wake: Wake, control: Connection) -> None:
    """Be a worker process: load everything, wait for `Play`, play until `Stop` or until the parent is gone."""
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
        if isinstance(order, Play):
            real_time(HELPERS)  # somebody is waiting for the sound already
            Worker(wake, Player(order.preset, order.form), order, control).run()
    except (PresetError, StageError) as error:
        control.send(Failed(str(error)))
    except EOFError:
        pass  # the control process has gone
