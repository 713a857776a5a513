"""The cache of compiled functions: reused from one process to the next, and ignored where it cannot be read."""

import subprocess
import sys

import pytest

MODULE = """
from typing import NamedTuple
import numpy as np
from gramophone.realtime.kernels.jit import jit

class {name}(NamedTuple):
    values: np.ndarray

@jit
def total(state):
    result = 0.0
    for i in range(len(state.values)):
        result += state.values[i]
    return result

print(total({name}(np.arange(4.0))), sum(total.stats.cache_hits.values()), total.stats.cache_path)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a program that calls a compiled function; return its result, its cache hits and the cached files."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))

    def run(name="State"):
        path = tmp_path / "program.py"
        if not path.exists() or path.read_text() != MODULE.format(name=name):
            path.write_text(MODULE.format(name=name))
        code = "import sys; sys.path.insert(0, sys.argv[1]); import program"
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        total, hits, _ = done.stdout.split(maxsplit=2)
        return float(total), int(hits), sorted((tmp_path / "cache").rglob("*.nb?"))

    return run


def test_the_second_start_loads_what_the_first_compiled(run):
    assert run()[:2] == (6.0, 0)
    assert run()[:2] == (6.0, 1)


def test_an_index_that_names_a_renamed_class_counts_as_no_cache(run):
    run("OldState")
    assert run("NewState")[:2] == (6.0, 0)
    assert run("NewState")[:2] == (6.0, 1)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_file_that_was_cut_short_counts_as_no_cache(run, suffix):
    for path in run()[2]:
        if path.suffix == suffix:
            path.write_bytes(path.read_bytes()[:40])
    assert run()[:2] == (6.0, 0)
    assert run()[:2] == (6.0, 1)
