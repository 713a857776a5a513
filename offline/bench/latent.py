"""Bench: the latent stage with a VLAE of the usual size, at 16 kHz inside 48 kHz stereo, block 256, on one core."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.checkpoint import Card, save
from gramophone.models.parameters import Value
from gramophone.models.vlae import VLAE, VLAEShape
from gramophone.offline.bench.timing import cold, hot, quantiles
from gramophone.presets import CLIPS
from gramophone.realtime.latent.stage import LatentStage
from gramophone.realtime.stage import Format

_RATE, _BLOCK = 48_000, 256
_BLOCKS = 3
"""So many blocks hold whole hops: each round has the same work."""
_ROUNDS = 400


def measure() -> dict[str, object]:
    """Return the stage's delay and speed with random weights, a style and every transform at work.

    `real_time` is how many times quicker than the sound lasts, of the median round and of the quickest tenth, which
    fewer other programs have disturbed, and by the processor time of all rounds. Blocks are timed one by one besides:
    some hold a hop's work, some none.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _stage() as stage:
            return _figures(stage)
    finally:
        torch.set_num_threads(threads)


def _figures(stage: LatentStage) -> dict[str, object]:
    noise = np.random.default_rng(0).normal(0, 0.1, (2, _BLOCK)).astype(np.float32)
    load_before = round(os.getloadavg()[0], 1)
    spent = time.thread_time()
    rounds = hot({"stage": lambda: [stage.process(noise) for _ in range(_BLOCKS)]}, _ROUNDS, warm_up=0)["stage"]
    spent = time.thread_time() - spent
    hot_ms = hot({"stage": lambda: stage.process(noise)}, _ROUNDS)["stage"]
    cold_ms = cold({"stage": lambda: stage.process(noise)}, _ROUNDS)["stage"]
    return {
        "delay_samples": stage.delay,
        "delay_ms": round(1000 * stage.delay / _RATE, 2),
        "real_time": {
            "median": _real_time(rounds, 0.5),
            "quickest_tenth": _real_time(rounds, 0.1),
            "processor_time": round(_ROUNDS * _BLOCKS * _BLOCK / _RATE / spent, 2),
        },
        "block_ms": round(1000 * _BLOCK / _RATE, 3),
        "block_hot": quantiles(hot_ms),
        "block_cold": quantiles(cold_ms),
        "real_time_cold": round(1000 * _BLOCK / _RATE / float(cold_ms.mean()), 2),
        "load": {"before": load_before, "after": round(os.getloadavg()[0], 1)},
    }


def _real_time(rounds_ms: NDArray[np.float64], share: float) -> float:
    return round(1000 * _BLOCKS * _BLOCK / _RATE / float(np.quantile(rounds_ms, share)), 2)


@contextmanager
def _stage() -> Iterator[LatentStage]:
    """Make a stage of a model of four speakers, of the shape that `gramophone train vlae` makes."""
    torch.manual_seed(0)
    shape = VLAEShape(speakers=4, pitch_window=1024, told=2, emphasis=0.85)
    model = VLAE(shape).eval().requires_grad_(False)
    card = Card(shape.rate, shape.hop, model.delay, speakers=("a", "b", "c", "d"))
    values: dict[str, Value] = {
        "clip": str(CLIPS / "choir.flac"),
        "clip2": str(CLIPS / "voice.flac"),
        "morph": 0.3,
        "blend": 0.5,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save(path, model, card)
        stage = LatentStage(Format(_RATE, 2), values | {"model": str(path)})
    try:
        yield stage
    finally:
        stage.close()
