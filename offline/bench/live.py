"""Bench: what a live block costs at 48 kHz stereo, block 256: style and mosaic, and the engine around its stages."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from gramophone.offline.bench.timing import LONG_CHAIN, cold, hot, quantiles
from gramophone.presets import CLIPS, Preset, StageSettings
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read
from gramophone.realtime.stage import Audio

_RATE, _BLOCK = 48_000, 256
_ROUNDS = 1500
_BLOCK_MS = 1000 * _BLOCK / _RATE


def measure() -> dict[str, object]:
    """Return the two stages' block times hot and cold, their shares of the block, and the engine's own cost."""
    feed = _Feed()
    return {
        "block_ms": round(_BLOCK_MS, 3),
        **_stage("style", feed),
        **_stage("mosaic", feed),
        "engine_overhead_cold": _overhead(feed),
        "learn_ms_per_minute_of_clip": _learning(),
    }


def _stage(kind: str, feed: _Feed) -> dict[str, object]:
    """Return a stage's block times hot and cold, and its share of the block."""
    engine = Engine(Preset("bench", (StageSettings(kind, kind, {"clip": str(CLIPS / "choir.flac")}),)), _RATE)
    stage = next(iter(engine._chain)).stage
    hot_ms = hot({kind: lambda: stage.process(feed())}, _ROUNDS)[kind]
    cold_ms = cold({kind: lambda: stage.process(feed())}, _ROUNDS)[kind]
    engine.close()
    return {
        f"{kind}_hot": quantiles(hot_ms),
        f"{kind}_cold": quantiles(cold_ms),
        f"{kind}_cold_p95_share": round(float(np.quantile(cold_ms, 0.95)) / _BLOCK_MS, 4),
    }


def _overhead(feed: _Feed) -> dict[str, float]:
    """Return the engine's time per block beyond the time that its stages take."""
    engine = Engine.load(LONG_CHAIN, _RATE)
    inside = [0]
    for slot in engine._chain:
        slot.stage.process = _timed(slot.stage.process, inside)  # type: ignore[assignment,method-assign]
        slot.update()
    beyond: list[float] = []

    def call() -> None:
        inside[0] = 0
        start = time.perf_counter_ns()
        engine.process(block)
        beyond.append((time.perf_counter_ns() - start - inside[0]) / 1e6)

    block = feed()
    cold({"engine": call}, _ROUNDS)
    engine.close()
    return quantiles(np.array(beyond[20:]))


def _timed(process: Callable[[Audio], Audio], inside: list[int]) -> Callable[[Audio], Audio]:
    def timed(block: Audio) -> Audio:
        start = time.perf_counter_ns()
        output = process(block)
        inside[0] += time.perf_counter_ns() - start
        return output

    return timed


def _learning() -> float:
    """Return how long a style stage takes to be made from a clip of one minute, in ms."""
    import tempfile
    from pathlib import Path

    from gramophone.realtime.files import AudioWriter

    noise = np.random.default_rng(0).normal(0, 0.1, (2, 60 * _RATE)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "minute.wav"
        with AudioWriter(clip, _RATE, 2, noise.shape[1]) as writer:
            writer.write(noise)
        preset = Preset("bench", (StageSettings("style", "style", {"clip": str(clip)}),))
        times = []
        for _ in range(5):
            start = time.perf_counter()
            Engine(preset, _RATE).close()
            times.append(1000 * (time.perf_counter() - start))
    return round(float(np.median(times)), 1)


class _Feed:
    """Blocks of a real voice, round and round."""

    def __init__(self) -> None:
        import soxr

        voice, rate = read(CLIPS / "voice.flac")
        sound = soxr.resample(voice[0], rate, _RATE).astype(np.float32)
        count = len(sound) // _BLOCK
        self._blocks: list[Audio] = list(np.repeat(sound[: count * _BLOCK].reshape(count, 1, _BLOCK), 2, axis=1))
        self._next = -1

    def __call__(self) -> Audio:
        self._next = (self._next + 1) % len(self._blocks)
        return self._blocks[self._next]
