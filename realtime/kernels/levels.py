"""The level of a block in one pass, highest sample and energy, added to those of the blocks before; and its time.

Every stage's output is looked at, what comes in and goes out is metered and timed, and what a late stage gets is kept
for its dry path. In Python and NumPy that takes calls of several kinds and many small objects, and the code and the
memory of each have to come from main memory at every block, since live audio finds cold caches. Here it is one call.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.bound import SOUND, bind, contents, row_of, rows_of, sound_kinds
from gramophone.realtime.kernels.jit import jit

BITS, ENERGY, SAMPLES, NS, BLOCKS, FIELDS = range(6)
"""What is kept of a part: bits of the highest sample, sum of squares, and number of samples since the last reading; ns
and blocks since the start. How many these are."""
KEPT = 1024
"""Blocks whose times are kept."""

ANY = 0x7FFFFFFF
"""The bits that none exceed."""

Sound = NDArray[np.float32]
Measure = Callable[[Sound, Sound, int], bool]


class LineMemory(NamedTuple):
    """A delay line: its ring `(channels, samples)`, where in it the next sample goes, `(1,)`, and the longest block."""

    ring: NDArray[np.float32]
    place: NDArray[np.int64]
    longest: int


def bits_of(amplitude: float) -> int:
    """Return the bits of a float32 from 0 up, as a number that grows with it."""
    (bits,) = struct.unpack("<I", struct.pack("<f", amplitude))
    return int(bits)


def amplitude_of(bits: int) -> float:
    """Return the float32 that has these bits."""
    (amplitude,) = struct.unpack("<f", struct.pack("<I", bits))
    return float(amplitude)


def new_figures(parts: int) -> NDArray[np.float64]:
    """Return what levels are added to: `FIELDS` of each of so many parts, then the times of blocks, part by part."""
    return np.zeros(parts * (FIELDS + KEPT))


def level_meter(figures: NDArray[np.float64], part: int, most: int = ANY, line: LineMemory | None = None) -> Measure:
    """Return a function of a sound, of the block that it was made of, both `(channels, frames)`, and the ns it took.

    It returns whether `bits_of` the highest absolute sample of the sound, which are exact, are no more than `most`. If
    so, it adds the sound's level and the ns to the figures of the part, and appends the block to the `line`. The
    energy, the sum of squares, has the precision of float32 and may be infinite or NaN. It also returns False, and does
    nothing, if either is no array of float32 with its rows in order, or the block is longer than the line's longest.
    """
    line = line or LineMemory(np.zeros((0, 0), np.float32), np.zeros(1, np.int64), 0)
    return bind(_measure, (figures, (part, most), line, sound_kinds()), SOUND, SOUND, 0)


def _measure_rows(bound: Any, sound: Any, block: Any, ns: int) -> bool:
    figures, (part, most), line, kinds = contents(bound)
    rows, fed = rows_of(sound, kinds), rows_of(block, kinds)
    keeps = line.longest > 0
    if rows[1] < 0 or (keeps and (fed[1] != len(line.ring) or fed[2] > line.longest)):
        return False
    bits, energy = np.int32(0), np.float32(0)
    for channel in range(rows[1]):
        row = row_of(rows, channel)
        words = row.view(np.int32)
        for i in range(len(row)):
            # without the sign, the bits of floats are in the order of their amounts, NaN above infinity
            word = np.int32(words[i] & np.int32(0x7FFFFFFF))  # else numba widens it, and vectors hold half as many
            bits = word if word > bits else bits
            energy += row[i] * row[i]
    if bits > most:
        return False
    first, parts = part * FIELDS, len(figures) // (FIELDS + KEPT)
    count = int(figures[first + BLOCKS])
    figures[first + BITS] = max(figures[first + BITS], float(bits))
    figures[first + ENERGY] += energy
    figures[first + SAMPLES] += rows[1] * rows[2]
    figures[first + NS] += ns
    figures[first + BLOCKS] += 1
    figures[parts * FIELDS + count % KEPT * parts + part] = ns
    if keeps:
        _append(line, fed)
    return True


@jit
def _append(line: Any, fed: Any) -> None:
    """Write rows to a line, as `DelayLine.write` does."""
    size, start, frames = line.ring.shape[1], line.place[0], fed[2]
    first = min(frames, size - start)
    for channel in range(fed[1]):
        row, kept = row_of(fed, channel), line.ring[channel]
        _copy(row[:first], kept[start : start + first])
        _copy(row[first:], kept[: frames - first])
    line.place[0] = (start + frames) % size


@jit
def _copy(source: Any, target: Any) -> None:
    for i in range(len(source)):  # an assignment of arrays takes seconds to compile
        target[i] = source[i]


_measure = jit(_measure_rows, reassociate=True, short=True)
