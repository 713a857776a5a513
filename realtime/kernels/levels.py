"""The level of a block in one pass: its highest sample, exactly, and its energy.

Every stage's output is looked at, and what comes in and goes out is metered. In NumPy that takes calls of several
kinds, and the code of each has to come from main memory at every block, since live audio finds cold caches.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

NOT_FINITE = 0x7F800000
"""The bits of infinity: those of a block with a sample that is not finite are as many or more."""

Measure = Callable[[NDArray[np.float32]], tuple[int, float]]


def bits_of(amplitude: float) -> int:
    """Return the bits of a float32 from 0 up, as a number that grows with it."""
    (bits,) = struct.unpack("<I", struct.pack("<f", amplitude))
    return int(bits)


def amplitude_of(bits: int) -> float:
    """Return the float32 that has these bits."""
    (amplitude,) = struct.unpack("<f", struct.pack("<I", bits))
    return float(amplitude)


@cache
def level_meter() -> Measure:
    """Return a function of sound `(channels, frames)`: `bits_of` its highest absolute sample, and its energy.

    The energy, the sum of squares, has the precision of float32 and may be infinite or NaN; the bits are exact.
    """
    from numba import types

    from gramophone.realtime.kernels.jit import jit

    signatures = [(types.Array(types.float32, 2, layout),) for layout in "CA"]
    compiled = jit(_level, reassociate=True, signatures=signatures)

    def measure(sound: NDArray[np.float32]) -> tuple[int, float]:
        try:
            return compiled(sound)  # type: ignore[no-any-return]
        except TypeError:  # not float32, or an array that cannot be written
            return compiled(np.array(sound, np.float32, order="C"))  # type: ignore[no-any-return]

    return measure


def _level(sound: NDArray[np.float32]) -> tuple[int, float]:
    bits, energy = np.int32(0), np.float32(0)
    for channel in range(sound.shape[0]):
        row = sound[channel]
        words = row.view(np.int32)
        for i in range(sound.shape[1]):
            # without the sign, the bits of floats are in the order of their amounts, NaN above infinity
            word = words[i] & np.int32(0x7FFFFFFF)
            bits = word if word > bits else bits
            energy += row[i] * row[i]
    return bits, energy  # type: ignore[return-value]
