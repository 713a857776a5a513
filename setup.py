"""What pyproject.toml cannot say: a wheel holds the built plug-in for DAWs, if a C++ compiler and DPF are there.

With `GRAMOPHONE_KERNELS=1` it also holds the kernels of the factory presets, compiled, or those of the presets that are
named (`GRAMOPHONE_KERNELS=default,anyone`). For that, pip must run in an environment that has what Gramophone needs.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
KERNELS = os.environ.get("GRAMOPHONE_KERNELS", "")


def _dpf() -> ModuleType:
    """Return the module that builds the plug-in; nothing of Gramophone is installed yet."""
    spec = importlib.util.spec_from_file_location("dpf", ROOT / "offline" / "commands" / "dpf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _compile_kernels(package: Path) -> None:
    """Compile the kernels of presets into the package, in the environment that pip runs in and not the build's own."""
    target = package / "gramophone" / "realtime" / "kernels" / "prebuilt"
    shutil.rmtree(target, ignore_errors=True)
    presets = [] if KERNELS == "1" else KERNELS.split(",")
    command = [sys.executable, "-m", "gramophone.offline.commands.warm", str(target), *presets]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(package)}, cwd=package, check=True)


class BuildWithPlugin(build_py):
    """Put the built plug-in beside its sources; an editable install builds it when it is asked to."""

    def run(self) -> None:
        """Build."""
        super().run()
        if KERNELS and not self.editable_mode:
            _compile_kernels(Path(self.build_lib).absolute())
        dpf = _dpf()
        framework = Path(os.environ.get("DPF_PATH", dpf.DPF))
        target = Path(self.build_lib) / "gramophone" / "realtime" / "bridge" / "prebuilt"
        shutil.rmtree(target, ignore_errors=True)
        if self.editable_mode or dpf.missing(framework):
            return
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(dpf.build(Path(folder), framework), target)


class PlatformWheel(bdist_wheel):
    """With the plug-in or kernels, a wheel is for one kind of machine, but for any Python, as others compile them."""

    def finalize_options(self) -> None:
        """Decide by what can be built here."""
        super().finalize_options()
        dpf = _dpf()
        self.root_is_pure = not KERNELS and bool(dpf.missing(Path(os.environ.get("DPF_PATH", dpf.DPF))))

    def get_tag(self) -> tuple[str, str, str]:
        """Return the wheel's tag."""
        return ("py3", "none", super().get_tag()[2])


setup(cmdclass={"build_py": BuildWithPlugin, "bdist_wheel": PlatformWheel})
