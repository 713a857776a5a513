"""The arrays that compiled kernels share: float32, C order, aligned to cache lines."""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
LINE_BYTES = 64
"""Of a cache line: vector loads that straddle two of them take twice as long."""


def zeros(*shape: int) -> Floats:
    """Return float32 zeros of a shape, aligned to a cache line."""
    return aligned(shape, np.dtype(np.float32))  # type: ignore[no-any-return]


def packed(tensor: Any) -> Floats:
    """Return a copy of a torch tensor as a float32 array aligned to a cache line."""
    array = zeros(*tensor.shape)
    array[...] = tensor.detach().float().cpu().numpy()
    return array


def packed_weights(tensor: Any) -> Floats:
    """Return weights for `matvec`, aligned: as uint16 where all of them are floats of 16 bits exactly, else float32.

    The products are the same; half as much is read. Processors that cannot read such floats get float32.
    """
    weights = tensor.detach().float().cpu()
    halves = weights.half()
    if not (_reads_halves() and bool((halves.float() == weights).all())):
        return packed(weights)
    array: Any = aligned(tuple(weights.shape), np.dtype(np.uint16))
    array[...] = halves.numpy().view(np.uint16)
    return array  # type: ignore[no-any-return]


@cache
def _reads_halves() -> bool:
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    from llvmlite.binding import get_host_cpu_features

    try:
        return bool(get_host_cpu_features().get("f16c"))
    except RuntimeError:  # LLVM does not know this system's
        return False


def aligned(shape: tuple[int, ...], kind: np.dtype[Any]) -> Any:
    """Return zeros of a shape and kind, aligned to a cache line."""
    size = int(np.prod(shape)) * kind.itemsize
    raw = np.zeros(size + LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % LINE_BYTES
    return raw[start : start + size].view(kind).reshape(shape)
