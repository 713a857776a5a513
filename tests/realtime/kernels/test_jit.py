"""The cache of compiled functions: reused by the next process, ignored where it does not fit the source."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CALLEE = """
from gramophone.realtime.kernels.jit import jit

@jit
def scaled(x):
    return {factor} * x
"""
CALLER = """
from typing import NamedTuple
import numpy as np
from callee import scaled
from gramophone.realtime.kernels.jit import jit

class {name}(NamedTuple):
    values: np.ndarray

@jit
def total(state):
    result = 0.0
    for i in range(len(state.values)):
        result += scaled(state.values[i])
    return result

print(total({name}(np.arange(4.0))), sum(total.stats.cache_hits.values()))
"""


@pytest.fixture
def run(tmp_path):
    """Run a program that calls a compiled function; return its result, its cache hits and the cached files."""
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")}
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | places

    def run(name="State", factor=1.0):
        (tmp_path / "callee.py").write_text(CALLEE.format(factor=factor))
        (tmp_path / "caller.py").write_text(CALLER.format(name=name))
        code = "import sys; sys.path.insert(0, sys.argv[1]); import caller"
        command = [sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        total, hits = done.stdout.split()
        return float(total), int(hits), sorted(tmp_path.rglob("numba/**/*.nb?"))

    return run


def test_the_second_start_loads_what_the_first_compiled_from_the_users_cache_folder(run):
    assert run()[:2] == (6.0, 0)
    total, hits, files = run()
    assert (total, hits) == (6.0, 1)
    assert files


def test_an_index_that_names_a_renamed_class_counts_as_no_cache(run):
    run("OldState")
    assert run("NewState")[:2] == (6.0, 0)
    assert run("NewState")[:2] == (6.0, 1)


def test_a_function_is_compiled_again_when_one_that_it_calls_has_changed(run):
    assert run(factor=1.0)[0] == 6.0
    assert run(factor=3.0)[:2] == (18.0, 0)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_file_that_was_cut_short_counts_as_no_cache(run, suffix):
    for path in run()[2]:
        if path.suffix == suffix:
            path.write_bytes(path.read_bytes()[:40])
    assert run()[:2] == (6.0, 0)
    assert run()[:2] == (6.0, 1)
