"""Bench: files through a preset: with two jobs, and a long file's memory.

All of it takes two minutes on two free cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gramophone.offline.bench.timing import LONG_CHAIN
from gramophone.offline.render import RenderPlan, RenderRequest, render_all
from gramophone.presets import CLIPS, load
from gramophone.realtime.files import AudioWriter, read

_RATE = 48_000
_LONG = """
import json, resource, sys
from pathlib import Path
from gramophone.offline.bench.timing import LONG_CHAIN
from gramophone.offline.render import RenderRequest, render_file
from gramophone.presets import load
from gramophone.realtime.engine import Engine
Engine(load(LONG_CHAIN), 48000, 2).close()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
render_file(Path(sys.argv[1]), Path(sys.argv[2]), RenderRequest(load(LONG_CHAIN)), lambda seconds: None)
print(json.dumps([before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def measure() -> dict[str, object]:
    """Return speeds in times real time, their ratios, and the memory of a file of ten minutes in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        return {**_jobs(Path(folder)), **_long(Path(folder))}


def sound_file(path: Path, seconds: int) -> Path:
    """Write a voice, again and again, 48 kHz stereo, and return its path."""
    import soxr

    voice, rate = read(CLIPS / "voice.flac")
    minute = np.resize(soxr.resample(voice[0], rate, _RATE), 60 * _RATE).astype(np.float32)
    with AudioWriter(path, _RATE, 2, seconds * _RATE) as writer:
        for start in range(0, seconds, 60):
            writer.write(np.repeat(minute[None, : (seconds - start) * _RATE], 2, axis=0))
    return path


def _jobs(folder: Path, files: int = 4, seconds: int = 120) -> dict[str, object]:
    sources = [sound_file(folder / f"file{i}.wav", seconds) for i in range(files)]
    request = RenderRequest(load(LONG_CHAIN))
    took = {}
    for jobs in (1, 2):
        out = folder / f"jobs{jobs}"
        out.mkdir()
        work = RenderPlan(tuple((source, out / source.name) for source in sources), (), {}, out)
        start = time.perf_counter()
        outcome = render_all(work, request, jobs, lambda seconds: None)
        took[jobs] = time.perf_counter() - start
        if outcome.failed:
            raise RuntimeError(f"rendering failed: {outcome.failed}")
    return {
        "jobs_1_s": round(took[1], 2),
        "jobs_2_s": round(took[2], 2),
        "jobs_2_speed_up": round(took[1] / took[2], 3),
    }


def _long(folder: Path) -> dict[str, object]:
    source = sound_file(folder / "long.wav", 600)
    command = [sys.executable, "-c", _LONG, str(source), str(folder / "long-result.wav")]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    return {
        "ten_minutes_took_s": round(time.perf_counter() - start, 1),
        "ten_minutes_memory_mib": round((after - before) / 1024, 1),
        "libraries_memory_mib": round(before / 1024, 1),
    }
