"""The rooms' laws: imports point one way, models stay pure, and asking for help loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "presets": {"presets"},
    "models": {"models"},
    "realtime": {"realtime", "models", "presets"},
    "offline": {"offline", "realtime", "models", "presets"},
}
# Devices, threads and clocks belong to realtime; sound files and NumPy to the edges.
NOT_IN_MODELS = {"threading", "time", "multiprocessing", "asyncio", "soundfile", "pedalboard", "numpy", "random"}


def sources(room):
    return sorted((ROOT / room).rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_point_one_way(room):
    assert sources(room)
    for path in sources(room):
        for name in imported(path):
            if name.startswith("gramophone."):
                assert name.split(".")[1] in MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {name}"


def test_models_know_no_devices_threads_or_clocks():
    for path in sources("models"):
        assert not {name.split(".")[0] for name in imported(path)} & NOT_IN_MODELS, path


def test_no_folder_shadows_the_namespace():
    assert not (ROOT / "gramophone").exists()
    for room in MAY_IMPORT:
        assert (ROOT / ".links" / "gramophone" / room).resolve() == ROOT / room


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['gramophone', '--help']\n"
        "from gramophone.offline.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'numpy', 'pedalboard', 'matplotlib', 'librosa') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_realtime_never_loads_a_trainer():
    code = (
        "import sys, gramophone.realtime.engine\nprint([n for n in sys.modules if n.startswith('gramophone.offline')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
