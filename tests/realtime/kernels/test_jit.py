"""The cache of compiled functions: reused by the next process, ignored where it does not fit the source."""

import os
import subprocess
import sys

import numba
import pytest
from llvmlite.binding import get_host_cpu_features

from gramophone.realtime.kernels.jit import FAMILY, FAMILY_FEATURES, family

pytestmark = pytest.mark.slow

CONSTANTS = """
SHIFTS = (({shift}, 0.0), 0)
"""
CALLEE = """
from constants import SHIFTS
from gramophone.realtime.kernels.jit import jit

@jit
def scaled(x):
    return {factor} * x + SHIFTS[0][0]
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

    def run(name="State", factor=1.0, before="", shift=0.0, **more):
        (tmp_path / "constants.py").write_text(CONSTANTS.format(shift=shift))
        (tmp_path / "callee.py").write_text(CALLEE.format(factor=factor))
        (tmp_path / "caller.py").write_text(CALLER.format(name=name))
        code = f"import sys; sys.path.insert(0, sys.argv[1])\n{before}\nimport caller"
        command = [sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment | more)
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


def test_a_function_is_compiled_again_when_a_constant_from_a_file_without_functions_has_changed(run):
    assert run(shift=1.0)[:2] == (10.0, 0)
    assert run(shift=1.0)[:2] == (10.0, 1)
    assert run(shift=2.0)[:2] == (14.0, 0)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_file_that_was_cut_short_counts_as_no_cache(run, suffix):
    for path in run()[2]:
        if path.suffix == suffix:
            path.write_bytes(path.read_bytes()[:40])
    assert run()[:2] == (6.0, 0)
    assert run()[:2] == (6.0, 1)


def test_code_that_was_kept_under_the_name_of_other_code_is_not_used(run):
    """As two processes could leave it that kept code for two types of arguments at once."""
    found = [path for path in run()[2] if path.suffix == ".nbc"]
    callee, caller = sorted(found, key=lambda path: path.name)
    caller.write_bytes(callee.read_bytes())
    assert run()[:2] == (6.0, 0)
    assert run()[:2] == (6.0, 1)


def test_what_is_kept_is_loaded_without_what_compiles(run, monkeypatch):
    loaded = "int('numba.np.arrayobj' in __import__('sys').modules)"
    monkeypatch.setattr(sys.modules[__name__], "CALLER", CALLER.replace("sum(total.stats.cache_hits.values())", loaded))
    assert run()[:2] == (6.0, 1)
    assert run()[:2] == (6.0, 0)


RAISING = """
from callee import refuse
from gramophone.realtime.kernels.jit import jit

@jit
def total(x):
    return refuse(x) + 1.0

try:
    total(-2.0)
except ValueError as error:
    print(error.args[1] + total(3.0), sum(total.stats.cache_hits.values()))
"""
REFUSING = """
from gramophone.realtime.kernels.jit import jit

@jit
def refuse(x):
    if x < 0:
        raise ValueError("negative", x)
    return x
"""


def test_what_a_called_function_raises_arrives_now_and_from_the_cache(run, monkeypatch):
    """Its environment, which numba makes the exception with, is set in the code that it is linked into."""
    monkeypatch.setattr(sys.modules[__name__], "CALLER", RAISING.replace("{", "{{").replace("}", "}}"))
    monkeypatch.setattr(sys.modules[__name__], "CALLEE", REFUSING.replace("{", "{{").replace("}", "}}"))
    assert run()[:2] == (2.0, 0)
    assert run()[:2] == (2.0, 1)


BOUND = """
from gramophone.realtime.kernels.bound import bind, contents

@jit
def bound_total(bound, factor):
    (state,) = contents(bound)
    return factor * total(state)

print(bind(bound_total, ({name}(np.arange(4.0)),), 1.0)(1.0), sum(bound_total.stats.cache_hits.values()))
"""


def test_a_bound_kernel_is_kept_too(run, monkeypatch):
    program = CALLER.rpartition("\nprint(")[0] + BOUND
    monkeypatch.setattr(sys.modules[__name__], "CALLER", program)
    assert run()[:2] == (6.0, 0)
    assert run()[:2] == (6.0, 1)
    assert run(factor=3.0)[:2] == (18.0, 0)


def test_a_function_that_kernels_call_has_no_machine_code_of_its_own(run):
    kept = {path.name.split("-")[0]: path.read_bytes() for path in run()[2] if path.suffix == ".nbc"}
    assert b"\x7fELF" in kept["caller.total"] or sys.platform != "linux"
    assert b"\x7fELF" not in kept["callee.scaled"]


BUILD = """
import pathlib
from gramophone.realtime.kernels import jit
jit.keep_compiled_in(pathlib.Path(sys.argv[1]) / "prebuilt")
"""
USE = """
import pathlib
from gramophone.realtime.kernels import jit
jit.PREBUILT = pathlib.Path(sys.argv[1]) / "prebuilt"
"""
needs_family = pytest.mark.skipif(
    not all(get_host_cpu_features().get(feature) for feature in FAMILY_FEATURES), reason=f"needs an {FAMILY} processor"
)


@pytest.fixture
def built(run, tmp_path):
    """Code for the family of processors, compiled as a wheel is built; the user's cache is empty."""
    name, features = family()
    assert run(before=BUILD, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features)[:2] == (6.0, 0)
    assert list((tmp_path / "prebuilt").glob("*.nbc"))
    return tmp_path / "prebuilt"


@needs_family
def test_prebuilt_code_is_used_and_nothing_is_compiled(run, built):
    total, hits, kept = run(before=USE)
    assert (total, hits, kept) == (6.0, 1, [])


@needs_family
def test_prebuilt_code_is_not_used_where_it_does_not_fit(run, built):
    """Another source; a processor that lacks an instruction; a processor that was asked for; another numba."""
    assert run(before=USE, factor=3.0)[:2] == (18.0, 0)
    assert run(before=f"{USE}\njit.FAMILY_FEATURES += ('no-such-feature',)", name="Other")[1] == 0
    assert run(before=USE, name="Third", NUMBA_CPU_NAME="generic")[1] == 0
    for index in built.glob("*.nbi"):
        index.write_bytes(index.read_bytes().replace(numba.__version__.encode(), b"0" * len(numba.__version__)))
    assert run(before=USE)[:2] == (6.0, 0)


ELSEWHERE = """
import os, subprocess
from gramophone.realtime.kernels.compilations import Compilations, compiling_elsewhere
asked, compiled = [], []

def compile_all():
    asked.append(True)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import caller"
    subprocess.run([sys.executable, "-c", code, sys.argv[1]], check=True, stdout=subprocess.DEVNULL)

with Compilations(compiled.append), compiling_elsewhere(compile_all):
    import caller
assert (asked, compiled) == ([True], []), (asked, compiled)
"""


def test_what_another_process_compiles_is_loaded_and_not_compiled_by_this_one(run):
    assert run(before=ELSEWHERE)[:2] == (6.0, 1)
