"""Bench: what a block of 256 is made of, cold, at 48 kHz stereo: a voice, a VLAE and the engine around six stages.

Every part's processor time is its own, without that of the parts that it calls; each has some microseconds of the
timers in it. `--keep` draws `docs/figures/blocks.png`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.models.parameters import Value
from gramophone.offline.bench.latent import AT_WORK, SUNG, latent_stage, random_vlae, random_voice, tone
from gramophone.offline.bench.peers import FIGURES
from gramophone.offline.bench.timing import LONG_CHAIN, cold
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.engine import Engine
from gramophone.realtime.stages.latent.stage import LatentStage

_RATE, _BLOCK = 48_000, 256
_ROUNDS, _WARM_UP = 200, 20
_REST, _STAGES = "the rest, in Python", "stages"
_PARTS = {
    "_hops._conditioner.process": "mono sum, gate, filter",
    "_hops._rate_adapter.process": "resampling",
    "_codec.analyse": "encoder, pitch",
    "_transform.process": "transform of latents",
    "_codec.synthesise": "decoder",
    "_codec.prepare": "sums of past frames",
}
"""The parts of a latent stage that are timed, where they are."""

Spent = dict[str, float]
"""Microseconds by part."""


def measure(keep: bool = False) -> dict[str, object]:
    """Return the median microseconds of a block by part, over blocks in which the part does something."""
    values: dict[str, dict[str, Value]] = {"voice": {**AT_WORK, **SUNG}, "VLAE": dict(AT_WORK)}
    found: dict[str, Spent] = {}
    for name, model in (("voice", random_voice()), ("VLAE", random_vlae())):
        with latent_stage(model, values[name]) as stage:
            found[f"a block of a {name}"] = _of_latent(stage)
    found[f"the engine beyond the stages of {LONG_CHAIN}"] = _of_engine()
    if keep:
        _draw(found, FIGURES / "blocks.png")
    return {name: {part: round(spent) for part, spent in parts.items()} for name, parts in found.items()}


def _of_latent(stage: LatentStage) -> Spent:
    timers = _Timers()
    for place, label in _PARTS.items():
        owner, _, name = place.rpartition(".")
        timers.watch(attrgetter(owner)(stage), name, label)
    sound = tone(_BLOCK)
    return timers.medians(lambda: stage.process(sound))


def _of_engine() -> Spent:
    engine, timers = Engine.load(LONG_CHAIN, _RATE), _Timers()
    for slot in engine.chain:
        timers.watch(slot.stage, "process", _STAGES)
        timers.watch(slot, "_measure_and_keep", "levels of stages, dry paths")
        slot.update()
    timers.watch(engine, "_measure_input", "level in and out")
    timers.watch(engine, "_measure_output", "level in and out")
    timers.watch(engine.chain, "process", "chain")
    sound = tone(_BLOCK)
    spent = timers.medians(lambda: engine.process(sound))
    engine.close()
    del spent[_STAGES]
    return spent


class _Timers:
    """Times calls of methods, each without those within it."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = defaultdict(float)
        self._blocks: list[Spent] = []
        self._within = [0.0]

    def watch(self, owner: Any, name: str, label: str) -> None:
        """Time a method of an object from now on."""
        setattr(owner, name, self._timed(getattr(owner, name), label))

    def medians(self, call: Callable[[], object]) -> Spent:
        """Return the medians of many calls, each a block."""
        timed = self._timed(call, _REST)

        def block() -> None:
            self._spent.clear()
            timed()
            self._blocks.append(dict(self._spent))

        cold({"": block}, _ROUNDS, _WARM_UP)
        blocks = self._blocks[_WARM_UP:]
        parts = {part: None for found in blocks for part in found}
        return {part: float(np.median([found[part] for found in blocks if part in found])) for part in parts}

    def _timed(self, call: Callable[..., Any], label: str) -> Callable[..., Any]:
        spent, within, clock = self._spent, self._within, time.thread_time_ns

        def timed(*arguments: Any) -> Any:
            within.append(0.0)
            start = clock()
            result = call(*arguments)
            took = (clock() - start) / 1000
            spent[label] += took - within.pop()
            within[-1] += took
            return result

        return timed


def _draw(found: dict[str, Spent], picture: Path) -> None:
    from matplotlib.figure import Figure

    heights = [len(parts) for parts in found.values()]
    figure = Figure(figsize=(8, 0.32 * sum(heights) + 2.4), layout="constrained")
    for axis, (name, parts) in zip(figure.subplots(len(found), height_ratios=heights), found.items(), strict=True):
        ordered = sorted(parts, key=lambda part: -parts[part])
        bars = axis.barh(ordered, [parts[part] for part in ordered])
        axis.bar_label(bars, fmt="%.0f", padding=3)
        axis.invert_yaxis()
        axis.margins(x=0.1)
        axis.set_title(name, loc="left", fontsize="medium")
        axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("processor time of a block in which it has work, cold, median, µs")
    with atomic_write(picture) as part:
        figure.savefig(part, format="png", dpi=110)
