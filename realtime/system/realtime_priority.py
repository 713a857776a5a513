"""How a process of the live engine behaves: no collector at work, quick to give way, with priority where allowed."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection, parent_process

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""
SOUND, HELPERS, CONTROLS = 60, 50, 40
"""Real-time priorities: below JACK's server (70 where it is set so), above everything that is not sound.

Threads beside the sound need theirs, too: one that other programs keep from running while it holds the interpreter
would hold up the sound. Control surfaces are served in time, but never before the sound.
"""


def belong_to_parent(outlives: Callable[[], bool] = lambda: False) -> None:
    """Leave Ctrl-C to the parent process, and end when it is gone, however it went, unless this one `outlives` it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel, outlives), name="parent", daemon=True).start()


def settle() -> None:
    """Make pauses rare and short: what is there is never looked at by the collector, threads give way in 0.1 ms.

    What is there and of no use stays, too (25 MB of 300 in a worker): to look for it takes 0.1 s, and the device
    plays already.
    """
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(1e-4)


def share_heap() -> None:
    """Let the threads of this process share one heap (glibc), before any of them starts.

    With one for each thread, what clips and presets leave behind is scattered over all of them: a set grew by 39 MiB
    an hour, and with two by more.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def real_time(priority: int, *, inherited: bool = True) -> bool:
    """Give the calling thread, and what it starts if `inherited`, real-time priority; return if that was allowed."""
    if sys.platform != "linux":
        return False
    policy = os.SCHED_FIFO if inherited else os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    with suppress(OSError):
        os.sched_setscheduler(0, policy, os.sched_param(priority))
        return True
    return False


def _follow(sentinel: int, outlives: Callable[[], bool]) -> None:
    connection.wait([sentinel])
    if not outlives():
        os._exit(1)
