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
CORE = ("bridge.cpp", "engine_link.cpp")
ENGINE = (sys.executable, "-m", "gramophone.realtime.bridge.engine_process")


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
    sources = [str(NATIVE / part) for part in CORE] + [str(Path(__file__).parent / "core_driver.cpp")]
    command = ["c++", "-std=gnu++17", "-g", "-O1", "-pthread", f"-I{NATIVE}", *sources, "-o", str(program)]
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
