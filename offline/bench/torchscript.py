"""Bench: what the latent stage costs on top of a TorchScript model's own `encode` and `decode`, at the model's hop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gramophone.offline.bench.timing import quantiles
from gramophone.realtime.stage import Format
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.latent.stage import LatentStage
from gramophone.realtime.stages.latent.torchscript import trusted

_ROUNDS, _WARM_UP = 200, 8
_RESAMPLES = 2000


def measure(model: str) -> dict[str, object]:
    """Return processor times of the bare calls and of the stage by turns, and their ratio with its 95 % interval."""
    path = Path(model).absolute()
    form = trusted(path)
    torch.set_num_threads(1)
    bare: Any = torch.jit.load(str(path)).eval()  # type: ignore[no-untyped-call]
    settings = {"model": str(path)}
    knobs = {knob.name: knob.default for knob in keys_of("latent", settings, None).knobs}
    stage = LatentStage(Format(form.rate, 1), knobs | settings)
    sound = (0.2 * np.random.default_rng(0).standard_normal((1, form.hop))).astype(np.float32)
    given = torch.from_numpy(sound)[None].expand(1, form.inputs, -1)

    @torch.inference_mode()
    def call() -> None:
        bare.decode(bare.encode(given))

    calls: dict[str, Callable[[], object]] = {"bare": call, "stage": lambda: stage.process(sound)}
    times = {name: np.zeros(_ROUNDS) for name in calls}
    for turn in range(-_WARM_UP, _ROUNDS):
        for name, one in calls.items():
            start = time.thread_time()
            one()
            if turn >= 0:
                times[name][turn] = 1000 * (time.thread_time() - start)
    ratios = times["stage"] / times["bare"]
    chosen = np.random.default_rng(0).integers(0, _ROUNDS, (_RESAMPLES, _ROUNDS))
    low, high = np.quantile(np.median(ratios[chosen], axis=1), [0.025, 0.975])
    stage.close()
    return {
        "hop_ms": round(1000 * form.hop / form.rate, 2),
        **{name: quantiles(found) for name, found in times.items()},
        "overhead": f"{np.median(ratios) - 1:.1%} ({low - 1:.1%} to {high - 1:.1%}; goal 5%; n {_ROUNDS})",
    }
