"""The arrays that compiled kernels share: float32, C order, aligned to cache lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
_LINE = 64
"""Bytes of a cache line: vector loads that straddle two of them take twice as long."""


def zeros(*shape: int) -> Floats:
    """Return float32 zeros of a shape, aligned to a cache line."""
    size = int(np.prod(shape)) * 4
    raw = np.zeros(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(np.float32).reshape(shape)


def packed(tensor: Any) -> Floats:
    """Return a copy of a torch tensor as a float32 array aligned to a cache line."""
    array = zeros(*tensor.shape)
    array[...] = tensor.detach().float().cpu().numpy()
    return array
