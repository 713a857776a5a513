"""The level of a block in one pass, highest sample and energy, added to those of the blocks before; and its time.

Every stage's output is looked at, and what comes in and goes out is metered and timed. In Python and NumPy that takes
calls of several kinds and many small objects, and the code and the memory of each have to come from main memory at
every block, since live audio finds cold caches. Here it is one call and one array.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOT_FINITE = 0x7F800000
"""The bits of infinity: those of a block with a sample that is not finite are as many or more."""

BITS, ENERGY, SAMPLES, NS, BLOCKS, FIELDS = range(6)
"""What is kept of a part: bits of the highest sample, sum of squares, and number of samples since the last reading; ns
and blocks since the start. How many these are."""
KEPT = 1024
"""Blocks whose times are kept."""

ANY = 0x7FFFFFFF
"""The bits that none exceed."""

Measure = Callable[[NDArray[np.float32], int, NDArray[np.float64], int, int], bool]


def bits_of(amplitude: float) -> int:
    """Return the bits of a float32 from 0 up, as a number that grows with it."""
    (bits,) = struct.unpack("<I", struct.pack("<f", amplitude))
    return int(bits)


def amplitude_of(bits: int) -> float:
    """Return the float32 that has these bits."""
    (amplitude,) = struct.unpack("<f", struct.pack("<I", bits))
    return float(amplitude)


def new_figures(parts: int) -> NDArray[np.float64]:
    """Return what `level_meter` adds to: `FIELDS` of each of so many parts, then the times of blocks, part by part."""
    return np.zeros(parts * (FIELDS + KEPT))


@cache
def level_meter() -> Measure:
    """Return a function of sound `(channels, frames)`, highest bits, figures, a part's number, and the ns it took.

    It returns whether `bits_of` the highest absolute sample, which are exact, are no more than those. If so, it adds
    the sound's level and the ns to the figures of the part. The energy, the sum of squares, has the precision of
    float32 and may be infinite or NaN.
    """
    from numba import types

    from gramophone.realtime.kernels.jit import jit

    figures = types.Array(types.float64, 1, "C")
    numbers = types.int64, figures, types.int64, types.int64
    signatures = [(types.Array(types.float32, 2, layout), *numbers) for layout in "CA"]
    compiled: Any = jit(_measure, reassociate=True, signatures=signatures)
    # The code itself: numba takes as long to find out the types of arguments as a block's level takes.
    in_order, strided = (compiled.overloads[signature].entry_point for signature in signatures)

    def measure(sound: NDArray[np.float32], most: int, figures: NDArray[np.float64], part: int, ns: int) -> bool:
        try:
            entry = in_order if sound.flags.c_contiguous else strided
            return entry(sound, most, figures, part, ns)  # type: ignore[no-any-return]
        except TypeError:  # numbers of another size than float32
            plain = np.array(sound, np.float32, order="C")
            return in_order(plain, most, figures, part, ns)  # type: ignore[no-any-return]

    return measure


def _measure(sound: NDArray[np.float32], most: int, figures: NDArray[np.float64], part: int, ns: int) -> Any:
    bits, energy = np.int32(0), np.float32(0)
    for channel in range(sound.shape[0]):
        row = sound[channel]
        words = row.view(np.int32)
        for i in range(sound.shape[1]):
            # without the sign, the bits of floats are in the order of their amounts, NaN above infinity
            word = np.int32(words[i] & np.int32(0x7FFFFFFF))  # else numba widens it, and vectors hold half as many
            bits = word if word > bits else bits
            energy += row[i] * row[i]
    if bits > most:
        return False
    first, parts = part * FIELDS, len(figures) // (FIELDS + KEPT)
    block = int(figures[first + BLOCKS])
    figures[first + BITS] = max(figures[first + BITS], float(bits))
    figures[first + ENERGY] += energy
    figures[first + SAMPLES] += sound.size
    figures[first + NS] += ns
    figures[first + BLOCKS] += 1
    figures[parts * FIELDS + block % KEPT * parts + part] = ns
    return True
