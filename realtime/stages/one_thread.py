"""Linear algebra of small matrices in one thread.

BLAS shares even a matrix of 64 rows among all cores, and its threads wait for each other: where anything else computes
besides, a map of 6 ms then takes 100. In one thread its last bits do not depend on the number of cores either.
"""

from __future__ import annotations

import os
import sys
from contextlib import ContextDecorator
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController


class _OneThread(ContextDecorator):
    """While any thread is within, BLAS computes in the thread that calls it; then in as many as before."""

    def __init__(self) -> None:
        self._lock, self._within = Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._limit = _blas().limit(limits=1)
            self._within += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._limit.restore_original_limits()


one_thread = _OneThread()


def keep_torch_to_one_thread() -> None:
    """Let torch compute in one thread of this process, if it is loaded, or once it is: most chains do without it."""
    os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it as it is loaded
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
