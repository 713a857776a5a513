"""Functions for `prepared` to call in its process, and for tests to call in a process without torch."""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gramophone.realtime.kernels.arrays import packed
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.prepared import open_torch_library, prepared


class Arrays(NamedTuple):
    name: str
    numbers: np.ndarray
    more: tuple[np.ndarray, ...]


def arrays(factor: int, file: Path) -> Arrays:
    """Return arrays that torch has made, by a number in a file."""
    import torch

    numbers = torch.full((3, 4), factor * float(file.read_text()))
    return Arrays("seven", packed(numbers), (np.arange(3), np.zeros((0, 2))))


def refused(clip: str) -> None:
    """Refuse a clip."""
    raise StageError(f"{clip}: no sound in it")


def prepare(file: Path) -> list[str]:
    """Prepare arrays and a refusal; return what there is to say about them, and whether torch is loaded."""
    found = [prepared(arrays, factor, file) for factor in (2, 3, 2)]
    said = [
        f"{each.name} {each.numbers.sum()} {each.numbers.flags.writeable} {each.numbers.ctypes.data % 64}"
        for each in found
    ]
    try:
        prepared(refused, "a clip")
    except StageError as error:
        said.append(str(error))
    return [*said, str("torch" in sys.modules)]


class _NoTorch:
    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "torch":
            raise ImportError("torch is imported")


def play_without_torch(names: tuple[str, ...]) -> bool:
    """Load what a worker loads and play noise through presets; return whether torch is loaded."""
    sys.meta_path.insert(0, _NoTorch)
    from gramophone.realtime.live.worker_process import load_libraries

    load_libraries()
    from gramophone.presets import load
    from gramophone.realtime.engine import Engine

    noise = np.random.default_rng(0).normal(0, 0.1, (2, 256)).astype(np.float32)
    for name in names:
        engine = Engine(load(name), 48_000, 2)
        sound = [engine.process(noise) for _ in range(100)]
        assert engine.report().left_out == {}, engine.report().left_out
        assert np.isfinite(sound).all()
        engine.close()
    return "torch" in sys.modules


def open_library() -> tuple[bool, bool, float]:
    """Open torch's library; return whether it is there, whether torch is loaded, and what torch then adds up."""
    open_torch_library()
    found = "libtorch_cpu" in Path("/proc/self/maps").read_text(), "torch" in sys.modules
    import torch

    return *found, float(torch.ones(3).sum())
