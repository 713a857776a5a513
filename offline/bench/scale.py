"""Bench: how cost grows with channels, stages, voices and sessions, and what ten thousand hours of files cost.

Times are processor time of the thread that plays, which other programs change little. A slope is that of the straight
line through the medians, by least squares; its spread is from the first to the last of some runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from gramophone.models.nets.wavenet import SIZES, WaveNet
from gramophone.offline.bench.batch import sound_file
from gramophone.offline.bench.machine import describe
from gramophone.offline.bench.timing import LONG_CHAIN
from gramophone.offline.render import RenderRequest, render_file
from gramophone.presets import Preset, StageSettings, load
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.engine import Engine
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stages.wavenet.sampler import Sampler

_RATE, _BLOCK = 48_000, 256
_BLOCK_MS = 1000 * _BLOCK / _RATE
_MODEL_RATE = 16_000
_CALLS, _RUNS = 120, 5
_CHANNELS, _STAGES, _VOICES, _SESSIONS = (1, 2, 4, 8), (1, 2, 4, 8, 16), (1, 2, 4, 8), (1, 2, 4, 8)
_RENDERED_S, _HOURS = 8, 10_000
_FIGURES = Path("docs/figures")
_MEMORY = """
import json, os, sys
from pathlib import Path
import numpy as np
from gramophone.presets import load
from gramophone.realtime.engine import Engine
used, engines = [], []
for _ in range(5):
    engines.append(Engine(load(sys.argv[1]), 48000, 2))
    engines[-1].process(np.zeros((2, 256), np.float32))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    used.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
print(json.dumps(used))
"""


@dataclass(frozen=True)
class Slope:
    """Milliseconds of one core for a block of 256 at 48 kHz, by how many there are of something.

    `slope` is ms for each one more, with its least and greatest over the runs; `base` ms for none at all; `wall` how
    many one core bears.
    """

    of: str
    counts: tuple[int, ...]
    ms: tuple[float, ...]
    slope: float
    low: float
    high: float
    base: float
    wall: int


def measure(keep: bool = False) -> dict[str, object]:
    """Return the slopes, the memory of a session in MiB, and the core hours of ten thousand hours of files.

    With `keep`, `scale.md` and `scale.png` are written to `docs/figures` below the current folder.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    before = os.getloadavg()[0]
    try:
        slopes = [_slope(of, counts, made) for of, counts, made in _CASES]
        speed = _render_speed()
    finally:
        torch.set_num_threads(threads)
    memory = _memory()
    batch = {"times_real_time_a_core": speed, "core_hours": round(_HOURS / speed)}
    load_ = f"{before:.1f} to {os.getloadavg()[0]:.1f}"
    if keep:
        write(slopes, memory, batch, load_, _FIGURES)
    return {**{slope.of: asdict(slope) for slope in slopes}, "memory_mib": memory, "ten_thousand_hours": batch}


def _slope(of: str, counts: Sequence[int], made: Callable[[int], Callable[[], object]]) -> Slope:
    """Return the slope of what `made` returns for a count; all counts take turns, run by run."""
    calls = {count: made(count) for count in counts}
    ms = np.array([[_processor_ms(call) for call in calls.values()] for _ in range(_RUNS)])
    lines = np.array([np.polyfit(counts, run, 1) for run in ms])
    slope, base = np.polyfit(counts, np.median(ms, axis=0), 1)
    return Slope(
        of,
        tuple(counts),
        tuple(round(float(value), 3) for value in np.median(ms, axis=0)),
        round(float(slope), 3),
        round(float(lines[:, 0].min()), 3),
        round(float(lines[:, 0].max()), 3),
        round(float(base), 3),
        int((_BLOCK_MS - base) / slope),
    )


def _processor_ms(call: Callable[[], object]) -> float:
    call()
    start = time.thread_time()
    for _ in range(_CALLS):
        call()
    return 1000 * (time.thread_time() - start) / _CALLS


def _noise(channels: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(0, 0.1, (channels, _BLOCK)).astype(np.float32)


def _playing(preset: Preset, channels: int) -> Callable[[], object]:
    engine, block = Engine(complete(preset), _RATE, channels), _noise(channels)
    return lambda: engine.process(block)


def _stages(count: int) -> Callable[[], object]:
    stages = tuple(StageSettings(f"s{number}", "reverb", {"wet": 0.2}) for number in range(count))
    return _playing(Preset("stages", stages), 2)


def _voices(count: int) -> Callable[[], object]:
    """Return what samples a block's worth of a WaveNet S at 16 kHz, in so many voices."""
    torch.manual_seed(0)
    sampler = Sampler(WaveNet(SIZES["S"]).eval().requires_grad_(False), count)
    return lambda: sampler.generate(_BLOCK * _MODEL_RATE // _RATE)


def _sessions(count: int) -> Callable[[], object]:
    """Return what plays a block of so many engines of their own, one after another."""
    playing = [_playing(load(LONG_CHAIN), 2) for _ in range(count)]
    return lambda: [play() for play in playing]


_CASES: tuple[tuple[str, tuple[int, ...], Callable[[int], Callable[[], object]]], ...] = (
    ("channels of `hall`", _CHANNELS, lambda count: _playing(load(LONG_CHAIN), count)),
    ("stages `reverb`, stereo", _STAGES, _stages),
    ("voices of a WaveNet S", _VOICES, _voices),
    ("sessions of `hall`, stereo", _SESSIONS, _sessions),
)


def _render_speed() -> float:
    """Return how many times real time a core renders files through `hall`, by processor time."""
    with tempfile.TemporaryDirectory() as folder:
        source = sound_file(Path(folder) / "in.wav", _RENDERED_S)
        request, spent = RenderRequest(complete(load(LONG_CHAIN))), []
        for _ in range(_RUNS):
            start = time.process_time()
            render_file(source, Path(folder) / "out.wav", request, lambda _seconds: None)
            spent.append(time.process_time() - start)
    return round(_RENDERED_S / float(np.median(spent)), 1)


def _memory() -> dict[str, float]:
    """Return the MiB of a process with one engine of `hall`, and of each one more; on Linux."""
    command = [sys.executable, "-c", _MEMORY, LONG_CHAIN]
    used = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {"first": round(used[0]), "each_more": round((used[-1] - used[0]) / (len(used) - 1), 1)}


def write(
    slopes: Sequence[Slope], memory: Mapping[str, float], batch: Mapping[str, float], load_: str, folder: Path
) -> None:
    """Write the page and its picture to a folder.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _draw(slopes, folder / "scale.png")
    machine = describe()
    rows = [
        f"| {slope.of} | {', '.join(f'{count}: {ms:g}' for count, ms in zip(slope.counts, slope.ms, strict=True))} "
        f"| **{slope.slope:g}** ({slope.low:g} to {slope.high:g}, n = {_RUNS}) | {slope.base:g} | {slope.wall} |"
        for slope in slopes
    ]
    page = f"""\
# How cost grows

{machine["date"]}, {machine["processor"]}, {machine["cores"]} cores, load {load_}; Python {machine["python"]},
torch {machine["torch"]}. Written by `python -m gramophone.offline.bench scale --keep`.

Milliseconds of one core's processor time for a block of 256 at 48 kHz, which lasts {_BLOCK_MS:.2f} ms. The slope is
the cost of one more, by least squares, with its least and greatest over the runs; the wall is how many fill one core.
A live chain has one core: what is above its wall needs a larger block, or another session on another core. What
a stage's background thread does (the map of `style`, six times a second) is not in it.

| of | how many: ms a block | slope, ms | base, ms | wall |
|---|---|---|---|---|
{chr(10).join(rows)}

A process that plays `hall` holds {memory["first"]:g} MiB, most of them libraries; each more session in the same process
{memory["each_more"]:g} MiB. A live session has processes of its own, so a machine's memory bears one for about every
{memory["first"]:g} MiB, and a core, background threads included, about {int(batch["times_real_time_a_core"])} by the
speed below.

Files: `hall` renders at {batch["times_real_time_a_core"]:g} times real time a core, so ten thousand hours take
{batch["core_hours"]:,} core hours ([the cost on a cluster](../cluster.md#what-ten-thousand-hours-cost)).

![Cost by number, with the block's length as a line](scale.png)
"""
    with atomic_write(folder / "scale.md") as part:
        part.write_text(page, "utf-8")


def _draw(slopes: Sequence[Slope], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    for axis, slope in zip(figure.subplots(1, len(slopes), squeeze=False)[0], slopes, strict=True):
        ends = np.array([0, slope.counts[-1]])
        axis.plot(ends, slope.base + slope.slope * ends, color="C0", linewidth=1)
        axis.plot(slope.counts, slope.ms, "o", color="C0")
        axis.axhline(_BLOCK_MS, color="C3", linewidth=1)
        axis.set(xlabel=slope.of.replace("`", ""), ylim=(0, None))
    figure.supylabel("ms of a core a block (red: the block lasts)")
    with atomic_write(picture) as part:
        figure.savefig(part, format="png", dpi=110)
