"""Bench: a sweep over one second of levels at 16 kHz, beside one full gradient for each of them, the way of 2016."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import cast

import numpy as np
import torch

from gramophone.models.nets.wavenet import WaveNet, WaveNetShape
from gramophone.offline.stylise.wavenet import WaveNetStyle

_RATE = 16_000
_SHAPE = WaveNetShape(layers=8, cycle=8, residual=32, skip=32)
"""A receptive field of 256 samples."""
_SWEEPS, _GRADIENTS = 6, 3
_STRENGTH = 0.8


def measure() -> dict[str, object]:
    """Return seconds a sweep on all cores, beside full gradients by torch on as many, taken in turn with the sweeps.

    On a busy machine the seconds of the cores say more than those of the clock; divided by the cores, they are the
    least that the clock can show. Weights and sounds are random: the work is the same whatever they are.
    """
    torch.manual_seed(0)
    network = WaveNet(_SHAPE).eval().requires_grad_(False)
    made = type("Made", (WaveNetStyle,), {"rate": _RATE, "network": network})
    method: WaveNetStyle = made(0.1 * torch.randn(_RATE), 0.1 * torch.randn(_RATE).cumsum(0).sin())
    cores = os.cpu_count() or 1
    threads = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        return {"cores": cores, "load_before": round(os.getloadavg()[0], 1)} | _compare(method)
    finally:
        torch.set_num_threads(threads)


def _compare(method: WaveNetStyle) -> dict[str, object]:
    x = method.start()
    method.sweeper(_STRENGTH).change_of(x.numpy(), 0, 0)  # compiles
    losses, sweeps, gradients = [method.objective(x, _STRENGTH)], [], []
    for number in range(_SWEEPS):
        done, took = _timed(partial(method.advanced, x, _STRENGTH, number, 1))
        x = cast(torch.Tensor, done)
        sweeps.append(took)
        losses.append(method.objective(x, _STRENGTH))
        gradients += [_timed(partial(method.slopes, x.numpy(), _STRENGTH))[1] for _ in range(_GRADIENTS)]
    sweep, gradient = (np.median(times, axis=0) for times in (sweeps, gradients))
    faster = gradient * _RATE / sweep
    return {
        "sweep": {"s": round(sweep[0], 2), "cpu_s": round(sweep[1], 2), "quickest_s": round(min(sweeps)[0], 2)},
        "gradient": {"s": round(gradient[0], 3), "cpu_s": round(gradient[1], 3)},
        "times_faster_than_one_gradient_per_site": {"by_clock": round(faster[0]), "by_cpu": round(faster[1])},
        "objective": [round(loss, 5) for loss in losses],
        "never_rises": all(after <= before for before, after in pairwise(losses)),
        "load_after": round(os.getloadavg()[0], 1),
    }


def _timed(call: Callable[[], object]) -> tuple[object, tuple[float, float]]:
    """Return what a call does, and its seconds by the clock and of all cores."""
    clock, cores = time.perf_counter(), time.process_time()
    done = call()
    return done, (time.perf_counter() - clock, time.process_time() - cores)
