"""The rooms' laws: imports point one way, models stay pure, and asking for help loads nothing heavy."""

import ast
import subprocess
import sys
import tomllib
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "presets": {"presets"},
    "models": {"models"},
    "realtime": {"realtime", "models", "presets"},
    "offline": {"offline", "realtime", "models", "presets"},
}
# What any room may import: it imports nothing of ours itself.
LEAVES = {"gramophone.presets.atomic"}
# Devices, threads and clocks belong to realtime; sound files to the edges, and NumPy too, but for styles: what plays
# updates them without torch.
NOT_IN_MODELS = {"threading", "time", "multiprocessing", "asyncio", "soundfile", "pedalboard", "random"}
NOT_IN_NETWORKS = {"numpy"}
LONGEST_FILE = 400
SHORTEST_FILE = 40
"""A file that is shorter, and that only one other uses, belongs into that one."""
MOST_ENGINE_FILES = 141
"""Files of `realtime/` apart from stages and the plug-in: those grow with what can be played, the rest should not."""


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
            if name.startswith("gramophone.") and name not in LEAVES:
                assert name.split(".")[1] in MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {name}"


def test_models_know_no_devices_threads_or_clocks():
    for path in sources("models"):
        used = {name.split(".")[0] for name in imported(path)}
        assert not used & NOT_IN_MODELS, path
        assert path.parent.name == "style" or not used & NOT_IN_NETWORKS, path


def test_no_folder_shadows_the_namespace():
    assert not (ROOT / "gramophone").exists()
    for room in MAY_IMPORT:
        assert (ROOT / ".links" / "gramophone" / room).resolve() == ROOT / room


def test_every_folder_of_code_is_a_package_that_is_installed():
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for room in MAY_IMPORT for path in sources(room)}
    assert sorted(configured) == sorted(f"gramophone.{'.'.join(folder.parts)}" for folder in folders)
    assert all((ROOT / folder / "__init__.py").exists() for folder in folders)


@cache
def modules():
    """Return every module of the rooms by its dotted name."""
    paths = [path.relative_to(ROOT) for room in MAY_IMPORT for path in sources(room)]
    return {"gramophone." + ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def arrows():
    """Every import between two modules of the rooms, those within functions included."""
    known = modules()
    for module, path in known.items():
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [name if name in known else node.module for name in names]
            else:
                continue
            yield from ((module, target) for target in targets if target in known)


def folder_of(module):
    """A file at the top of a room tells its story and stands for itself; any other file is part of its folder."""
    path = modules()[module]
    return str(path if len(path.parts) == 2 else path.parent)


@pytest.mark.parametrize("node_of", [str, folder_of], ids=["files", "folders"])
def test_nothing_imports_in_a_circle(node_of):
    graph = defaultdict(set)
    nodes = {module: node_of(module) for module in modules()}
    for module, target in arrows():
        if nodes[module] != nodes[target]:
            graph[nodes[module]].add(nodes[target])
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' <- '.join(error.args[1])}")


def test_files_are_of_a_size_that_one_idea_has():
    users = defaultdict(set)
    for module, target in arrows():
        if module != target:
            users[target].add(module)
    sizes = {module: len((ROOT / path).read_text("utf-8").splitlines()) for module, path in modules().items()}
    assert {module: lines for module, lines in sizes.items() if lines > LONGEST_FILE} == {}
    # Packages' own files are short, and what no file imports is an entry point, or is loaded by name.
    files = [module for module, path in modules().items() if path.name not in ("__init__.py", "__main__.py")]
    assert [module for module in files if sizes[module] < SHORTEST_FILE and len(users[module]) == 1] == []


def test_the_engine_is_few_files():
    engine = [path for path in sources("realtime") if not {"bridge", "stages"} & set(path.parts)]
    assert len(engine) <= MOST_ENGINE_FILES


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['gramophone', '--help']\n"
        "from gramophone.offline.cli.main import main\n"
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
