"""The plug-in as it is built and installed for these tests, in folders of their own."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from gramophone.offline.commands.bridge import command
from gramophone.offline.commands.dpf import DPF, build, describe
from gramophone.offline.commands.dpf import __file__ as ADDITIONS
from gramophone.presets import names

NATIVE = Path(__file__).parents[3] / "realtime" / "bridge" / "native"
ENGINE = (sys.executable, "-m", "gramophone.realtime.bridge.engine_process")

PRELUDE = """
import os, signal, subprocess, sys, time
import numpy as np
sys.path.insert(0, sys.argv[2])
from support.clap_host import ClapHost
from gramophone.presets import names
from gramophone.realtime.engine import Engine

def noise(seconds, rate=44100, channels=2):
    return (0.1 * np.random.default_rng(1).standard_normal((channels, round(seconds * rate)))).astype(np.float32)

def processes():
    # of the engine that serves the page, and of its worker, when they are there
    while not host.text(17, 0).startswith("http"):
        time.sleep(0.01)
    port = host.text(17, 0).rpartition(":")[2].partition("/")[0]
    listening = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True).stdout.splitlines()
    lines = [line for line in listening if f":{port} " in line and "pid=" in line]
    engine = int(lines[0].split("pid=")[1].split(",")[0])
    children = open(f"/proc/{engine}/task/{engine}/children").read().split()
    names = {child: open(f"/proc/{child}/cmdline").read() for child in children}
    return engine, [int(child) for child, name in names.items() if "resource_tracker" not in name][0]

def number(preset):
    return float(1 + names().index(preset))

host = ClapHost(sys.argv[1])
"""


@dataclass(frozen=True)
class Installed:
    """Where the plug-ins are, and the environment of hosts that start them."""

    folder: Path
    environment: dict[str, str]
    engine: tuple[str, ...] = ENGINE

    @property
    def command(self) -> tuple[str, ...]:
        """The words by which the plug-in starts its engine."""
        *words, _, _ = shlex.split(self._script.read_text().splitlines()[-1])  # but its input, and that nobody waits
        return tuple(words)

    def use(self, words: tuple[str, ...]) -> None:
        """Let the plug-in start its engine by these words; none: as if nothing was installed."""
        if words:
            self._script.write_text(command(words))
        else:
            self._script.unlink()

    @property
    def _script(self) -> Path:
        return Path(self.environment["XDG_CONFIG_HOME"]) / "gramophone" / "bridge.command"

    def run(self, command: list[str], timeout: float = 180.0) -> subprocess.CompletedProcess[str]:
        """Run a host to its end, which must be a good one."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="session")
def plugins():
    """The folder of the built plug-ins; what was built from the same sources before is used again."""
    if not (DPF / "Makefile.plugins.mk").exists():
        pytest.skip("needs DPF: apt install dpf-source")
    if not shutil.which("c++"):
        pytest.skip("needs a C++ compiler")
    sources = [*sorted(NATIVE.iterdir()), Path(ADDITIONS)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    built = Path(tempfile.gettempdir()) / f"gramophone-bridge-{os.getuid()}-{digest}"
    if not built.exists():
        with tempfile.TemporaryDirectory(prefix="gramophone-build-", dir=built.parent) as folder:
            folder = build(Path(folder), DPF)
            describe(folder)
            folder.rename(built)
    return built


@pytest.fixture(scope="session")
def core_driver(tmp_path_factory):
    """The plug-in's core as a program that plays blocks (`core_driver.cpp`)."""
    program = tmp_path_factory.mktemp("core") / "driver"
    source = str(Path(__file__).with_name("core_driver.cpp"))
    command = ["c++", "-std=gnu++17", "-g", "-O1", "-pthread", f"-I{NATIVE}", source, "-o", str(program)]
    subprocess.run(command, check=True)
    return program


@pytest.fixture(scope="session")
def runtime_folder():
    """Where the engine server of these tests listens; it ends when the folder is gone."""
    with tempfile.TemporaryDirectory(prefix="gramophone-") as folder:
        yield Path(folder)


@pytest.fixture
def installed(plugins, runtime_folder, tmp_path):
    """The plug-ins with the engine of this program, and folders of their own."""
    config = tmp_path / "config"
    (config / "gramophone").mkdir(parents=True)
    (config / "gramophone" / "bridge.presets").write_text("".join(f"{name}\n" for name in names()))
    environment = os.environ | {
        "XDG_CONFIG_HOME": str(config),
        "XDG_RUNTIME_DIR": str(runtime_folder),
        "LV2_PATH": f"{plugins}:/usr/lib/lv2",
        "OMP_NUM_THREADS": "1",
    }
    found = Installed(plugins, environment)
    found.use(ENGINE)
    return found


@pytest.fixture
def clap(installed):
    """Run a program in which `host` is the plug-in in a CLAP host."""

    def run(program, timeout=180.0):
        command = [sys.executable, "-c", PRELUDE + program, str(installed.folder / "Gramophone.clap")]
        done = installed.run([*command, str(Path(__file__).parents[2])], timeout)
        return done.stdout + done.stderr

    return run


@pytest.fixture
def own(tmp_path):
    """Write a preset of the user's own, the only one; return its path."""

    def write(text):
        path = tmp_path / "config" / "gramophone" / "presets" / "own.toml"
        path.parent.mkdir()
        path.write_text(text)
        return str(path)

    return write
