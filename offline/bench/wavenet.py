"""Bench: WaveNet's sampler beside the speed of memory and naive loops, and its live stage."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.wavenet import SIZES, WaveNet
from gramophone.offline.bench.timing import cold, hot, quantiles, warm
from gramophone.realtime.kernels.arrays import zeros
from gramophone.realtime.kernels.matvec import add_product
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.wavenet.engines import weights_of
from gramophone.realtime.stages.wavenet.sampler import Sampler
from gramophone.realtime.stages.wavenet.stage import WaveNetStage
from gramophone.realtime.stages.wavenet.torch_engine import TorchEngine

_MODEL_RATE, _RATE, _BLOCK = 16_000, 48_000, 256
_SAMPLES = {"S": 320, "M": 64}
"""Few enough that most chunks are made before another program gets the core."""
_ROUNDS = 200
_CEILINGS = ((64, 64), (64, 96), (64, 256), (128, 128))
"""Shapes of the matrices that the same bytes are laid out as; the quickest is the ceiling."""
_NAIVE_SAMPLES, _EAGER_SAMPLES = 2, 20


def measure() -> dict[str, object]:
    """Return the sampler's speed at 16 kHz on one core, each rival timed in turn with it, and the stage's block times.

    `real_time` is how many times quicker than the sound lasts, of the median chunk and of the quickest tenth, which
    fewer other programs have disturbed; shares and ratios compare the quickest tenths. A rival is timed right after a
    call of its own: what it finds in the caches after the others is their doing (an eighth of M's time).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        figures: dict[str, object] = {"load_before": round(os.getloadavg()[0], 1)}
        for size in _SAMPLES:
            figures |= _compare(size)
        return figures | _live() | {"load_after": round(os.getloadavg()[0], 1)}
    finally:
        torch.set_num_threads(threads)


def _compare(size: str) -> dict[str, object]:
    model, samples = _model(size), _SAMPLES[size]
    one, eight = Sampler(model), Sampler(model, 8)
    eager = Sampler(model, engine=TorchEngine)
    weights = weights_of(model)
    megabytes = (
        sum(w.nbytes for w in (weights.older, weights.newer, weights.exits, weights.hidden, weights.output)) / 1e6
    )
    rivals: dict[str, Callable[[], object]] = {
        "one": lambda: one.generate(samples),
        "nucleus": lambda: one.generate(samples, nucleus=0.9),
        "eight": lambda: eight.generate(samples // 4),
    }
    rivals |= {f"ceiling {shape}": _stream(megabytes * 1e6, samples, *shape) for shape in _CEILINGS}
    times = {name: ms / 1000 for name, ms in warm(rivals, _ROUNDS).items()}
    slow = hot({"naive": lambda: _naive(model), "eager": lambda: eager.generate(_EAGER_SAMPLES)}, 10, warm_up=1)
    per_sample = {name: _quick(s) / samples for name, s in times.items()} | {
        "eight": _quick(times["eight"]) / (samples // 4),
        "naive": _quick(slow["naive"]) / 1000 / _NAIVE_SAMPLES,
        "eager": _quick(slow["eager"]) / 1000 / _EAGER_SAMPLES,
    }
    ceiling = megabytes / 1000 / min(per_sample[f"ceiling {shape}"] for shape in _CEILINGS)
    reached = megabytes / 1000 / per_sample["one"]
    return {
        f"{size}_real_time": {
            "median": round(samples / _MODEL_RATE / float(np.median(times["one"])), 2),
            "quickest_tenth": _real_time(per_sample["one"]),
            "nucleus_quickest_tenth": _real_time(per_sample["nucleus"]),
        },
        f"{size}_eight_voices_in_real_time": round(8 * _real_time(per_sample["eight"]), 1),
        f"{size}_gigabytes_per_second": {
            "weights_megabytes": round(megabytes, 2),
            "kernel": round(reached, 1),
            "ceiling": round(ceiling, 1),
            "share": round(reached / ceiling, 3),
        },
        f"{size}_times_faster_than": {
            "naive_torch_loop": round(per_sample["naive"] / per_sample["one"]),
            "torch_step_by_step": round(per_sample["eager"] / per_sample["one"]),
        },
    }


def _model(size: str) -> WaveNet:
    torch.manual_seed(0)
    return WaveNet(SIZES[size]).eval().requires_grad_(False)


def _quick(times: NDArray[np.float64]) -> float:
    return float(np.quantile(times, 0.1))


def _real_time(seconds_per_sample: float) -> float:
    return round(1 / _MODEL_RATE / seconds_per_sample, 2)


@torch.inference_mode()
def _naive(model: WaveNet) -> list[int]:
    """Sample naively: each sample is computed from the whole receptive field anew."""
    symbols = [128] * model.shape.receptive_field
    for _ in range(_NAIVE_SAMPLES):
        heard = torch.tensor(symbols[-model.shape.receptive_field :])[None, None]
        said = model(heard)[0][:, :, -1]
        symbols.append(int(torch.multinomial(torch.softmax(said, 1), 1)))
    return symbols


def _stream(size_bytes: float, samples: int, inputs: int, outputs: int) -> Callable[[], object]:
    """Return what reads so many bytes of weights, once per sample, for nothing but products."""
    w = zeros(max(round(size_bytes / (4 * inputs * outputs)), 1), inputs, outputs)
    w[...] = np.random.default_rng(0).normal(0, 0.01, w.shape)
    scale = size_bytes / w.nbytes
    x, y = zeros(1, inputs), zeros(1, outputs)
    products = njit(nogil=True, fastmath={"contract"}, error_model="numpy")(_products)
    return lambda: products(y, x, w, round(samples * scale))


def _products(y: NDArray[np.float32], x: NDArray[np.float32], w: NDArray[np.float32], times: int) -> None:
    for _ in range(times):
        for layer in range(len(w)):
            add_product(y, 0, x, 0, w, layer)


def _live() -> dict[str, object]:
    """Return the block times of the stage with size S at 16 kHz in a host at 48 kHz, stereo, block 256."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save(path, _model("S"), Card(_MODEL_RATE))
        stage = WaveNetStage(Format(_RATE, 2), {"model": str(path), "gate": 0.5})
    block = np.random.default_rng(0).normal(0, 0.1, (2, _BLOCK)).astype(np.float32)
    block_ms = 1000 * _BLOCK / _RATE
    hot_ms, cold_ms = (measured({"stage": lambda: stage.process(block)}, 500)["stage"] for measured in (hot, cold))
    return {
        "stage_block_ms": round(block_ms, 3),
        "stage_hot": quantiles(hot_ms),
        "stage_cold": quantiles(cold_ms),
        "stage_cold_median_share": round(float(np.median(cold_ms)) / block_ms, 3),
        "stage_cold_p95_share": round(float(np.quantile(cold_ms, 0.95)) / block_ms, 3),
    }
