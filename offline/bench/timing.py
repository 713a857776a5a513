"""Timing side by side: rivals take turns, so that a slow moment of the machine hits all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

LONG_CHAIN = "hall"
"""A factory preset of six stages, all but one of them quick: what an engine itself costs shows in it."""
_EVICT_BYTES = 64 << 20
"""More than the last level of cache holds."""

Times = dict[str, NDArray[np.float64]]
"""Milliseconds of every round by rival."""


def hot(rivals: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 20) -> Times:
    """Return the times of `rounds` calls of each, with caches as the call before left them."""
    return _measure(rivals, rounds, warm_up, lambda call: None)


def warm(rivals: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 20) -> Times:
    """Return the times of `rounds` calls of each, with caches as its own call just before left them."""
    return _measure(rivals, rounds, warm_up, lambda call: call())


def cold(
    rivals: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 20,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Return the times of `rounds` calls of each, with caches emptied before every one, as live audio finds them.

    `clock` returns seconds.
    """
    junk = np.ones(_EVICT_BYTES // 8)
    return _measure(rivals, rounds, warm_up, lambda call: junk.__iadd__(1.0), clock)


def quantiles(ms: NDArray[np.float64]) -> dict[str, float]:
    """Return median and 95 % quantile."""
    return {"median_ms": round(float(np.median(ms)), 4), "p95_ms": round(float(np.quantile(ms, 0.95)), 4)}


def _measure(
    rivals: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int,
    before: Callable[[Callable[[], object]], object],
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    times = {name: np.zeros(rounds) for name in rivals}
    for call in rivals.values():
        for _ in range(warm_up):
            call()
    gc.collect()
    gc.disable()  # as the live engine does
    try:
        for i in range(rounds):
            for name, call in rivals.items():
                before(call)
                start = clock()
                call()
                times[name][i] = (clock() - start) * 1e3
    finally:
        gc.enable()
    return times
