"""A function called in a process of its own, which may hang, crash or eat memory: it has limits and a low priority."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection
from typing import Any

from gramophone.realtime.system.realtime_priority import belong_to_parent

_NICENESS = 10
_FAREWELL_S = 2.0
"""How long a process that has answered may take to end by itself, as drivers want it."""
MOST_BYTES = 4 << 30


class ChildCallError(RuntimeError):
    """The call has not come to a good end; the message says how it ended, for people."""


def call_in_child(
    work: Callable[..., Any],
    *arguments: Any,
    timeout_s: float,
    most_bytes: int | None = MOST_BYTES,
    progress: Callable[[Any], None] | None = None,
) -> Any:
    """Return what `work(*arguments)` returns in a spawned process; what it raises as `ValueError` is raised here too.

    `timeout_s` is how long it may be silent, `most_bytes` how much memory it may map; None sets no limit.
    With `progress`, `work` gets a function as its last argument, which passes on to `progress` what it is called with.

    Raises:
        ChildCallError: it took too long, or the process ended without an answer.
        ValueError: as `work` raised it.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    asked = (theirs, work, arguments, progress is not None, most_bytes)
    process = context.Process(target=_answer, args=asked, daemon=True)
    if current_process().daemon:
        current_process().daemon = False  # daemons may not have children; ours end when their host does
    process.start()
    theirs.close()
    try:
        while True:
            if not ours.poll(timeout_s):
                raise ChildCallError(f"no answer within {timeout_s:g} s")
            kind, content = ours.recv()
            if kind == "progress" and progress:
                progress(content)
            elif kind == "raised":
                raise content
            else:
                process.join(_FAREWELL_S)
                return content
    except EOFError:
        process.join(1)
        raise ChildCallError(f"its process ended by itself (exit code {process.exitcode})") from None
    finally:
        process.kill()
        process.join()
        ours.close()


def _answer(
    line: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], reports: bool, most_bytes: int | None
) -> None:
    belong_to_parent()
    give_way(_NICENESS, most_bytes)
    more = (lambda content: line.send(("progress", content)),) if reports else ()
    try:
        line.send(("done", work(*arguments, *more)))
    except ValueError as error:
        line.send(("raised", ValueError(str(error))))
    except MemoryError:
        line.send(("raised", ValueError("more memory than there is")))


def give_way(niceness: int, most_bytes: int | None = None) -> None:
    """Let this process run behind what is less nice, and with so much memory at most."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with suppress(OSError, AttributeError):
        os.nice(niceness)
    with suppress(ImportError, OSError, ValueError):
        import resource

        if most_bytes:
            resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
