"""`gramophone doctor --warm`: compiles everything that the factory presets compile, so that no player waits for it.

numba compiles a function when it is first called, and keeps the machine code in the user's cache folder. A voice takes
some 20 s on one core; with its code kept it starts within a second. `python -m gramophone.offline.commands.warm FOLDER
[PRESET ...]`, which `setup.py` runs, fills a folder for a wheel instead, with code that other processors can run, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from gramophone import realtime
from gramophone.presets import DEFAULT, load, names
from gramophone.realtime.engine import Engine
from gramophone.realtime.kernels.compilations import Compilations
from gramophone.realtime.kernels.jit import family, jit, keep_compiled_in

_RATE, _BLOCK = 48_000, 256
_SECONDS = 0.5
"""Longer than any stage's hop, so that each has run."""

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""


@dataclass
class Warmed:
    """What warming did: presets that ran, functions compiled (the others were kept from before), and what failed."""

    presets: int = 0
    compiled: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)


def warm(progress: Progress, presets: Sequence[str] = ()) -> Warmed:
    """Run presets for half a second, all there are unless given, the default first; those that cannot run are named."""
    start = time.monotonic()
    found = Warmed()
    order = sorted(presets or names(), key=lambda name: name != DEFAULT)
    with Compilations(lambda function: progress(found.presets / len(order), f"compiling {function}")) as compilations:
        for name in order:
            progress(found.presets / len(order), name)
            try:
                _run(name)
            except Exception as error:  # a preset of the user's own may ask for anything
                found.failed[name] = str(error) or type(error).__name__
            found.presets += 1
    found.compiled, found.seconds = compilations.count, time.monotonic() - start
    return found


def prebuild(folder: Path, presets: Sequence[str]) -> None:
    """Fill a folder for `kernels.jit.PREBUILT`, in this process, which compiles for `FAMILY`.

    Raises:
        RuntimeError: nothing could be compiled.
    """
    keep_compiled_in(folder)
    done = warm(lambda share, what: None, presets)
    for lock in folder.rglob("lock"):
        lock.unlink()
    kept = len(list(folder.rglob("*.nbc")))
    print(f"{kept} compiled functions in {folder}; failed: {done.failed or 'no preset'}")
    if not kept:
        raise RuntimeError(f"nothing was compiled: {done.failed}")


def compiles() -> None:
    """Compile a function and compare it with Python.

    Raises:
        RuntimeError: it computes something else.
        Exception: whatever numba or LLVM raises where it cannot compile.
    """
    compiled = njit(_sum_of_squares)
    if compiled(10) != _sum_of_squares(10):
        raise RuntimeError("compiled code computes something else than Python does: install numba again")


def compiled_folder() -> Path | None:
    """Return the folder below which machine code is kept; None where none can be written."""
    kept: Any = jit(_sum_of_squares)
    path = kept.stats.cache_path
    if not path:
        return None
    package = Path(realtime.__path__[0])
    return package if Path(path).is_relative_to(package.parent) else Path(path).parent


def compiled_functions() -> int:
    """Return how many functions have machine code in that folder."""
    folder = compiled_folder()
    return len(list(folder.rglob("*.nbi"))) if folder else 0


def _run(name: str) -> None:
    engine = Engine(load(name), _RATE, 2)
    try:
        noise = np.random.default_rng(0).normal(0, 0.1, (2, _BLOCK)).astype(np.float32)
        for _ in range(round(_SECONDS * _RATE / _BLOCK)):
            engine.process(noise)
    finally:
        engine.close()


def _sum_of_squares(count: int) -> int:
    total = 0
    for number in range(count):
        total += number * number
    return total


def _prebuild_for_family(folder: str, *presets: str) -> int:
    """Run this program again, as numba reads which processor to compile for when it is imported."""
    name, features = family()
    environment = {**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    code = "import sys, pathlib, gramophone.offline.commands.warm as warm\n"
    code += "warm.prebuild(pathlib.Path(sys.argv[1]), sys.argv[2:])"
    return subprocess.run([sys.executable, "-c", code, folder, *presets], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(_prebuild_for_family(*sys.argv[1:]))
