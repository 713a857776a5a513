"""Bench: what the plug-in adds to a host, in time of its thread, latency, time to sound, speed of bounces and xruns.

It needs a C++ compiler and DPF; the plug-in is built and used from a folder of its own. Xruns need jalv and jackd.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.bench.companions import Bare
from gramophone.offline.bench.jack_server import ServerError, jack_server
from gramophone.offline.commands.bridge import command
from gramophone.offline.commands.dpf import DPF, SOURCES, build, describe
from gramophone.presets import CLIPS, DEFAULT, names
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read

_RATE, _BLOCK = 48_000, 256
_PRESET = "hall"
_COST_BLOCKS, _START_BLOCKS = 1000, 50
"""How many processed blocks a program plays for the plug-in's own cost, and for the time until there are some."""
_LONGEST_S = 40.0
"""A program gives up after so long."""
_BOUNCE_S, _BOUNCES = 10.0, 5
_XRUN_S, _XRUN_TURNS = 4.0, 2
_SETTLES_S = {"bare": 1.0, "gramophone": 3.0}
"""How long a host plays before its xruns are counted, until the engine surely plays."""
_PLUGINS = {"bare": "urn:ardour:a-comp#stereo", "gramophone": "urn:gramophone:bridge"}


def measure() -> dict[str, object]:
    """Return all figures, with the machine's load while each was taken; what cannot be measured here says why.

    It takes less than a minute where nothing else runs. Times are processor time, or ratios of what takes turns.

    Raises:
        BridgeError: the plug-in cannot be built.
    """
    for preset in (_PRESET, DEFAULT):  # so that no engine has to compile anything
        Engine.load(preset, rate=_RATE, channels=2).close()
    with tempfile.TemporaryDirectory(prefix="gramophone-bench-") as folder:
        place = Path(folder)
        with _environment(place):
            (place / "build").mkdir()
            built = build(place / "build", Path(os.environ.get("DPF_PATH", DPF)))
            describe(built)
            driver = _driver(place)
            parts: dict[str, Callable[[], dict[str, object]]] = {
                "insert_to_processed_s": lambda: _starts(driver),  # first: the server is cold then
                "own_cost_us": lambda: _cost(_play(driver, _COST_BLOCKS)),
                "latency_samples": lambda: _latency(_play(driver, 1)),
                "bounce_over_render": lambda: _bounces(built),
                "xruns": lambda: _xruns(built),
            }
            return {name: _measured(part) for name, part in parts.items()}


def _measured(part: Callable[[], dict[str, object]]) -> dict[str, object]:
    """Return a part's figures, the load meanwhile, and how long it took."""
    began = time.perf_counter()
    try:
        figures = part()
    except (subprocess.SubprocessError, ServerError, IndexError) as error:
        figures = {"not measured": repr(error)}
    return {**figures, "load": round(os.getloadavg()[0], 1), "took_s": round(time.perf_counter() - began)}


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


def _driver(place: Path) -> Path:
    """Return the plug-in's core as a program that plays in real time."""
    program = place / "driver"
    source = str(Path(__file__).with_name("bridge_cost.cpp"))
    alike = ["-std=gnu++17", "-O3", "-fno-trapping-math", "-pthread"]  # as the plug-in is compiled
    subprocess.run(["c++", *alike, f"-I{SOURCES}", source, "-o", str(program)], check=True)
    return program


def _play(driver: Path, processed: int) -> Any:
    """Return a row for each block, as `bridge_cost.cpp` prints it, until so many have been processed."""
    words = [driver, processed, _LONGEST_S, _BLOCK, 1 + names().index(_PRESET)]
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=2 * _LONGEST_S)
    return np.array([[float(word) for word in line.split()] for line in done.stdout.splitlines()])


def _starts(driver: Path) -> dict[str, object]:
    """Return the seconds from the start of a host to its first processed block: server cold once, then loaded."""
    cold, *warm = (_first_processed_s(_play(driver, _START_BLOCKS)) for _ in range(4))
    return {"server cold": cold, "warm": warm}


def _first_processed_s(rows: Any) -> float:
    return round(float(rows[rows[:, 1] > 0, 2][0]), 2)


def _cost(rows: Any) -> dict[str, object]:
    """Return the processor time of a processed block, beside that of waking a thread by the same call."""
    cost, wake = rows[rows[:, 1] > 0][:, [0, 4]].T
    spread = {"median": np.median(cost), "p5": np.quantile(cost, 0.05), "p95": np.quantile(cost, 0.95)}
    spread |= {"a bare wake-up": np.median(wake), "ratio": np.median(cost / wake)}
    return {"processed": len(cost)} | {key: round(float(x), 2) for key, x in spread.items()}


def _latency(rows: Any) -> dict[str, object]:
    """Return the plug-in's latency, and that of the chain."""
    return {"plug-in": int(rows[-1, 3]), "chain": Engine.load(_PRESET, rate=_RATE, channels=2).delay, "block": _BLOCK}


def _bounces(built: Path) -> dict[str, object]:
    """Return what `bounces` does, in a process that cannot hold this one up."""
    program = "from gramophone.offline.bench.bridge import bounces; print(json.dumps(bounces(sys.argv[1])))"
    words = [sys.executable, "-c", f"import sys, json; {program}", str(built / "Gramophone.vst3")]
    # As engines have it: on a busy machine more threads wait for each other.
    alike = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=3 * _LONGEST_S, env=alike)
    return dict(json.loads(done.stdout))


def bounces(path: str) -> dict[str, object]:
    """Return how fast a bounce in pedalboard is beside `Engine.render`, which take turns; over 1: faster."""
    from pedalboard import VST3Plugin

    sound = np.tile(read(CLIPS / "organ.flac")[0][:1], (2, 1))
    sound = np.tile(sound, (1, 1 + round(_BOUNCE_S * _RATE) // sound.shape[1]))[:, : round(_BOUNCE_S * _RATE)]
    plugin: Any = VST3Plugin(path)
    plugin.preset = _PRESET
    plugin(sound[:, :_RATE], _RATE, buffer_size=1024)
    seconds, difference = [], 0.0
    for _ in range(_BOUNCES):
        engine = Engine.load(_PRESET, rate=_RATE, channels=2)
        began = time.perf_counter()
        rendered = engine.render(sound)
        between = time.perf_counter()
        bounced = plugin(sound, _RATE, buffer_size=1024)
        seconds.append((between - began, time.perf_counter() - between))
        difference = max(difference, float(np.abs(bounced - rendered).max()))
    ratios = [rendering / bouncing for rendering, bouncing in seconds]
    render_s, bounce_s = (round(float(each), 2) for each in np.median(seconds, 0))
    return {
        "median": round(float(np.median(ratios)), 3),
        "render_s": render_s,
        "bounce_s": bounce_s,
        "runs": [round(ratio, 3) for ratio in ratios],
        "greatest difference": f"{difference:.1e}",
        "peak": f"{np.abs(rendered).max():.2f}",
    }


def _xruns(built: Path) -> dict[str, object]:
    """Return the xruns of a JACK server at 256 with the plug-in in jalv, beside those with a bare plug-in; in turns."""
    if not shutil.which("jalv"):
        return {"not measured": "jalv is not installed"}
    counts: dict[str, list[int]] = {name: [] for name in _PLUGINS}
    for _ in range(_XRUN_TURNS):
        for name, found in counts.items():
            found.append(_xruns_with(built, name))
    return {**counts, "seconds each": _XRUN_S}


def _xruns_with(built: Path, kind: str) -> int:
    name = f"gramophone-bench-{os.getpid()}"
    lv2 = {"JACK_DEFAULT_SERVER": name, "LV2_PATH": f"{built}:/usr/lib/lv2"}
    preset = ["-c", f"preset={1 + names().index(_PRESET)}"] if kind == "gramophone" else []
    with jack_server(name, _BLOCK, _RATE):
        bare = Bare(name)
        silent = subprocess.DEVNULL
        words = ["jalv", "-n", "jalv", *preset, _PLUGINS[kind]]
        host = subprocess.Popen(words, env=os.environ | lv2, stdin=subprocess.PIPE, stdout=silent, stderr=silent)
        try:
            time.sleep(_SETTLES_S[kind])  # the start of host and engine is not what is measured
            before = bare.xruns
            time.sleep(_XRUN_S)  # it plays: what happens in that time is what is counted
            return bare.xruns - before
        finally:
            host.kill()
            host.communicate()
            bare.close()
