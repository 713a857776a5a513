"""`gramophone doctor`: checks that everything that playing needs works on this machine."""

from __future__ import annotations

import importlib.metadata
import json as json_format
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

_LIBRARIES = ("torch", "numpy", "pedalboard", "soundfile", "onnxruntime", "soxr", "matplotlib")
_RATE, _BLOCK = 48_000, 256


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, whether it is well, and what was found or what to do."""

    name: str
    ok: bool
    found: str


def examine() -> list[Check]:
    """Return every check; none raises."""
    parts: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} on {platform.platform()}",
        **{name: _version(name) for name in _LIBRARIES},
        "device": _device,
        "formats": _formats,
        "presets": _presets,
        "osc": _osc,
        "speed": _speed,
    }
    return [_check(name, look) for name, look in parts.items()]


def show(checks: list[Check], *, json: bool) -> None:
    """Print the findings."""
    if json:
        print(json_format.dumps([asdict(check) for check in checks]))
        return
    for check in checks:
        print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:12} {check.found}")


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except Exception as error:  # whatever is wrong is what the user came to hear
        return Check(name, False, f"{type(error).__name__}: {error}")


def _version(name: str) -> Callable[[], str]:
    def look() -> str:
        __import__(name)
        return importlib.metadata.version(name)

    return look


def _device() -> str:
    from gramophone.realtime.kernels.executor import choose_device

    return f"models run on {choose_device('auto')}"


def _formats() -> str:
    import soundfile

    from gramophone.realtime.files import FORMATS

    known = soundfile.available_formats()
    missing = [ending for ending, (name, _) in FORMATS.items() if name not in known]
    if missing:
        raise OSError(
            f"libsndfile {soundfile.__libsndfile_version__} cannot read {', '.join(missing)}; update soundfile"
        )
    return ", ".join(ending[1:] for ending in FORMATS)


def _presets() -> str:
    from gramophone.presets import load, names
    from gramophone.realtime.parameter_table import complete

    for name in names():
        complete(load(name))
    return f"{len(names())} factory presets, all fit the parameter table"


def _osc() -> str:
    from gramophone.realtime.osc.receive_buffer import describe

    return describe()


def _speed() -> str:
    from gramophone.presets import DEFAULT
    from gramophone.realtime.engine import Engine

    engine = Engine.load(DEFAULT, _RATE)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, _BLOCK)).astype(np.float32)
    start = time.perf_counter()
    blocks = 400
    for _ in range(blocks):
        engine.process(noise)
    speed = blocks * _BLOCK / _RATE / (time.perf_counter() - start)
    engine.close()
    if speed < 1:
        raise RuntimeError(
            f"the default preset runs at {speed:.1f}x real time at block {_BLOCK}: too slow to play live"
        )
    return f"the default preset runs at {speed:.0f}x real time, 48 kHz stereo, block {_BLOCK}"
