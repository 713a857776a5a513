"""Bench: the latent stage with models of the usual size, at 16 kHz inside 48 kHz stereo, on one core.

A VLAE at block 256, a voice at 128 and at 256, and anybody's voice (`anyone`) at 128 and, with less look-ahead, again.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.vlae import VLAE, VLAEShape
from gramophone.models.nets.voice import Voice, VoiceShape
from gramophone.models.parameters import Value
from gramophone.offline.bench.timing import cold, hot, quantiles
from gramophone.presets import CLIPS
from gramophone.realtime.stage import Audio, Format, Stage
from gramophone.realtime.stage_registry import make_stage
from gramophone.realtime.stages.latent.stage import LatentStage

_RATE = 48_000
_BLOCKS = 3
"""So many blocks hold whole hops: each round has the same work."""
_ROUNDS = 400
_TONE_HZ = 375.0
"""Whole periods fit a block, so that a block again and again is one tone."""
AT_WORK: Mapping[str, Value] = {
    "clip": str(CLIPS / "choir.flac"),
    "clip2": str(CLIPS / "voice.flac"),
    "morph": 0.3,
    "blend": 0.5,
}
SUNG: Mapping[str, Value] = {"pitch": 3.0, "scale": "major", "vibrato": 30.0, "formant": 2.0, "air": 1.0}


def measure() -> dict[str, object]:
    """Return the stage's delay and speed with random weights, a style and every transform at work, model by model.

    `real_time` is how many times quicker than the sound lasts, of the median round and of the quickest tenth, which
    fewer other programs have disturbed, and by the processor time of all rounds. Blocks are timed one by one besides:
    some hold a hop's work, some none.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {f"{name} {figure}": value for name, found in _all() for figure, value in found.items()}
    finally:
        torch.set_num_threads(threads)


def _all() -> Iterator[tuple[str, dict[str, object]]]:
    with latent_stage(random_vlae(), AT_WORK) as stage:
        noise = np.random.default_rng(0).normal(0, 0.1, (2, 256)).astype(np.float32)
        yield "vlae, 256:", _figures(stage, noise)
    for block in (128, 256):
        with latent_stage(random_voice(), {**AT_WORK, **SUNG}) as stage:
            yield f"voice, {block}:", _figures(stage, tone(block))
    for quick in (False, True):
        anybody = make_stage("voice", Format(_RATE, 2), {"model": "anyone", "quick": quick, **SUNG})
        yield f"anyone{', quick' if quick else ''}, 128:", _figures(anybody, tone(128))


def tone(frames: int) -> Audio:
    """Return a block `(2, frames)` of a tone; one after the other, they are one tone."""
    sound = (0.2 * (_TONE_HZ / _RATE * np.arange(frames) % 1) - 0.1).astype(np.float32)
    return np.stack([sound, sound])


def _figures(stage: Stage, sound: Audio) -> dict[str, object]:
    block_ms = 1000 * sound.shape[1] / _RATE
    load_before = round(os.getloadavg()[0], 1)
    spent = time.thread_time()
    rounds = hot({"stage": lambda: [stage.process(sound) for _ in range(_BLOCKS)]}, _ROUNDS, warm_up=0)["stage"]
    spent = time.thread_time() - spent
    hot_ms = hot({"stage": lambda: stage.process(sound)}, _ROUNDS)["stage"]
    cold_ms = cold({"stage": lambda: stage.process(sound)}, _ROUNDS)["stage"]
    round_ms = _BLOCKS * block_ms
    return {
        "delay_samples": stage.delay,
        "delay_ms": round(1000 * stage.delay / _RATE, 2),
        "real_time": {
            "median": _times(round_ms, rounds, 0.5),
            "quickest_tenth": _times(round_ms, rounds, 0.1),
            "processor_time": round(_ROUNDS * round_ms / 1000 / spent, 2),
        },
        "block_ms": round(block_ms, 3),
        "block_hot": quantiles(hot_ms),
        "block_cold": quantiles(cold_ms),
        "p95_cold_share": round(float(np.quantile(cold_ms, 0.95)) / block_ms, 3),
        "real_time_cold": round(block_ms / float(cold_ms.mean()), 2),
        "load": {"before": load_before, "after": round(os.getloadavg()[0], 1)},
    }


def _times(round_ms: float, rounds_ms: NDArray[np.float64], share: float) -> float:
    return round(round_ms / float(np.quantile(rounds_ms, share)), 2)


def random_vlae() -> VLAE:
    """Return a model of four speakers, of the shape that `gramophone train vlae` makes."""
    torch.manual_seed(0)
    return VLAE(VLAEShape(speakers=4, pitch_window=1024, told=2, emphasis=0.85))


def random_voice() -> Voice:
    """Return a model of the usual shape, four speakers."""
    torch.manual_seed(0)
    return Voice(VoiceShape(speakers=4))


@contextmanager
def latent_stage(model: VLAE | Voice, values: Mapping[str, Value], channels: int = 2) -> Iterator[LatentStage]:
    """Give a latent stage at 48 kHz with a model and values of its parameters, for a `with` block."""
    model = model.eval().requires_grad_(False)
    shape = model.shape
    card = Card(shape.rate, shape.hop, model.delay, speakers=("a", "b", "c", "d"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save(path, model, card)
        stage = LatentStage(Format(_RATE, channels), {**values, "model": str(path)})
    try:
        yield stage
    finally:
        stage.close()
