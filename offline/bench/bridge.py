"""Bench: what the plug-in adds to a host, in time of its thread, latency, time to sound, speed of bounces and xruns.

It needs a C++ compiler and DPF; the plug-in is built and used from a folder of its own. Xruns need jalv and jackd.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.bench.companions import Bare
from gramophone.offline.bench.jack_server import ServerError, jack_server
from gramophone.offline.commands.bridge import command
from gramophone.offline.commands.dpf import DPF, SOURCES, build, describe
from gramophone.presets import CLIPS, names
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read

_RATE, _BLOCK = 48_000, 256
_PRESET = "hall"
_COST_BLOCKS = 4000
_BOUNCE_S, _BOUNCES = 30.0, 5
_XRUN_S, _SETTLES_S = 20.0, 20.0
"""How long xruns are counted, and the time before, until the engine surely plays."""
_BARE_PLUGIN = "urn:ardour:a-comp#stereo"
_CORE = ("bridge.cpp", "engine_link.cpp")


def measure() -> dict[str, object]:
    """Return all figures, with the machine's load while each was taken.

    Raises:
        BridgeError: the plug-in cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="gramophone-bench-") as folder:
        place = Path(folder)
        with _environment(place):
            driver = _driver(place)
            cold, warm = _play(driver), _play(driver)
            (place / "build").mkdir()
            built = build(place / "build", Path(os.environ.get("DPF_PATH", DPF)))
            describe(built)
            return {
                "own_cost_us": _cost(warm) | _load(),
                "latency_samples": _latency(warm),
                "insert_to_processed_s": {"server cold": _first_processed_s(cold)}
                | {f"warm {i}": _first_processed_s(_play(driver, 1500)) for i in (1, 2, 3)}
                | _load(),
                "bounce_over_render": _bounces(built) | _load(),
                "xruns": _xruns(built) | _load(),
            }


@contextmanager
def _environment(place: Path) -> Iterator[None]:
    """Let plug-ins start engines of this program, from a server of their own that ends with the folder."""
    config = place / "config" / "gramophone"
    config.mkdir(parents=True)
    words = (sys.executable, "-m", "gramophone.realtime.bridge.engine_process")
    (config / "bridge.command").write_text(command(words))
    (config / "bridge.presets").write_text("".join(f"{name}\n" for name in names()))
    before = dict(os.environ)
    os.environ |= {"XDG_CONFIG_HOME": str(place / "config"), "XDG_RUNTIME_DIR": str(place / "run")}
    (place / "run").mkdir(mode=0o700)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _load() -> dict[str, float]:
    return {"load": round(os.getloadavg()[0], 1)}


def _driver(place: Path) -> Path:
    """Return the plug-in's core as a program that plays in real time."""
    program = place / "driver"
    sources = [str(SOURCES / name) for name in _CORE] + [str(Path(__file__).with_name("bridge_cost.cpp"))]
    subprocess.run(["c++", "-std=gnu++17", "-O3", "-pthread", f"-I{SOURCES}", *sources, "-o", str(program)], check=True)
    return program


def _play(driver: Path, blocks: int = _COST_BLOCKS) -> Any:
    """Return a row for each block: its cost in us, whether it was processed, seconds since the start, the latency."""
    words = [str(driver), str(blocks), str(_BLOCK), str(1 + names().index(_PRESET))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return np.array([[float(word) for word in line.split()] for line in done.stdout.splitlines()])


def _cost(rows: Any) -> dict[str, object]:
    cost, wet = rows[:, 0], rows[:, 1] > 0
    spread = {"median": np.median(cost[wet]), "p95": np.quantile(cost[wet], 0.95), "max": cost[wet].max()}
    return {"blocks": len(cost), "processed": int(wet.sum())} | {key: round(float(x), 2) for key, x in spread.items()}


def _latency(rows: Any) -> dict[str, int]:
    """Return the plug-in's latency, and that of the chain."""
    return {"plug-in": int(rows[-1, 3]), "chain": Engine.load(_PRESET, rate=_RATE, channels=2).delay, "block": _BLOCK}


def _first_processed_s(rows: Any) -> float:
    processed = rows[rows[:, 1] > 0, 2]
    return round(float(processed[0]), 2) if len(processed) else float("nan")


def _bounces(built: Path) -> dict[str, object]:
    """Return how fast a bounce in pedalboard is beside `Engine.render`, which take turns; over 1: faster."""
    from pedalboard import VST3Plugin

    sound = np.tile(read(CLIPS / "organ.flac")[0][:1], (2, 1))
    sound = np.tile(sound, (1, 1 + round(_BOUNCE_S * _RATE) // sound.shape[1]))[:, : round(_BOUNCE_S * _RATE)]
    plugin: Any = VST3Plugin(str(built / "Gramophone.vst3"))
    plugin.preset = _PRESET
    plugin(sound[:, :_RATE], _RATE, buffer_size=1024)
    ratios, difference = [], 0.0
    for _ in range(_BOUNCES):
        engine = Engine.load(_PRESET, rate=_RATE, channels=2)
        began = time.perf_counter()
        rendered = engine.render(sound)
        between = time.perf_counter()
        bounced = plugin(sound, _RATE, buffer_size=1024)
        ratios.append((between - began) / (time.perf_counter() - between))
        difference = max(difference, float(np.abs(bounced - rendered).max()))
    return {
        "median": round(float(np.median(ratios)), 3),
        "runs": [round(ratio, 3) for ratio in ratios],
        "greatest difference": f"{difference:.1e}",
        "peak": f"{np.abs(rendered).max():.2f}",
    }


def _xruns(built: Path) -> dict[str, object]:
    """Return the xruns of a JACK server at 256 with the plug-in in jalv, beside those with a bare plug-in; in turns."""
    if not shutil.which("jalv"):
        return {"not measured": "jalv is not installed"}
    counts: dict[str, list[int]] = {"gramophone": [], "bare": []}
    try:
        for _ in range(2):
            counts["bare"].append(_xruns_with(built, _BARE_PLUGIN, ""))
            counts["gramophone"].append(_xruns_with(built, "urn:gramophone:bridge", _PRESET))
    except ServerError as error:
        return {"not measured": str(error)}
    return {**counts, "seconds each": _XRUN_S}


def _xruns_with(built: Path, plugin: str, preset: str) -> int:
    name = f"gramophone-bench-{os.getpid()}"
    lv2 = {"JACK_DEFAULT_SERVER": name, "LV2_PATH": f"{built}:/usr/lib/lv2"}
    words = ["jalv", "-n", "jalv", *(["-c", f"preset={1 + names().index(preset)}"] if preset else []), plugin]
    with jack_server(name, _BLOCK, _RATE):
        bare = Bare(name)
        silent = subprocess.DEVNULL
        host = subprocess.Popen(words, env=os.environ | lv2, stdin=subprocess.PIPE, stdout=silent, stderr=silent)
        time.sleep(_SETTLES_S)  # the start of host and engine is not what is measured
        before = bare.xruns
        time.sleep(_XRUN_S)  # it plays: the misses of that time are counted
        found = bare.xruns - before
        assert host.stdin
        host.stdin.close()
        host.wait(30)
    return found
