"""What frames of a mosaic are measured with: constants, state, and the sums that the kernels share."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.models.units import LEVEL_BANDS
from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stages.frame_spectra import Complex

if TYPE_CHECKING:
    from gramophone.models.style.mosaic import Filters, MosaicLayout

Whole = NDArray[np.int64]
fast = partial(jit, forceinline=False, reassociate=True)
"""For sums: their order is free, but is the same in every call."""

QUARTERS = 4
"""Parts of a hop, in which gains follow the content."""

_F = np.float32
_SLOW_S, _USUAL_S, _MEAN_S, _SHARES_S, _LEVEL_S, _LONG_S, _ONSET_GAP_S = 0.25, 3.0, 4.0, 0.1, 1.0, 15.0, 0.06


class Shape(NamedTuple):
    """Constants.

    Filters `(bands, F)` with their spans; `below` `(F,)` and `share` `(F,)` place each bin between two level bands;
    `above` `(F,)` is how far it is above the lows, 0 to 1;
    `blur` `(B, B)`; the holds of one-pole means, by frame; `gap` in frames between beginnings.
    """

    notes: Floats
    note_spans: Whole
    levels: Floats
    level_spans: Whole
    widths: Floats
    short_levels: Floats
    short_spans: Whole
    below: Whole
    share: Floats
    above: Floats
    blur: Floats
    hold_slow: float
    hold_usual: float
    hold_mean: float
    hold_shares: float
    hold_level: float
    hold_long: float
    gap: int


class Memory(NamedTuple):
    """State and work space.

    `mean` `(B,)` of the content's magnitudes; `content` and `grains` `(4, J)`: levels now, slow means, envelopes of the
    long frame, what is left of those; `gains` `(2, J)` of tune and texture; `magnitude`, `texture`, `fine`, `place`
    `(F,)`; `bands` `(B,)`; `powers` and `shares` `(C,)`; `short` `(F_short,)`;
    `sums` `(8,)`: power in, power out, frames since a beginning, the gain of the hop before, power of
    the frames, slow levels of content and texture, the content's usual level; `quarters` `(12,)`: the power of
    the content in quarters of the hop before the output's, of its own and of the next; `swells` `(2, J)`: the
    levels of content and texture relative to their slow means, in nats of power; `rises` `(3, J)`: the content's
    last swells, how much they have risen, and how the texture's single bands move within those around; `usual`
    `(2, J)`: sums of the levels of content over 15 s, and of texture over 3 s.
    """

    mean: Floats
    content: Floats
    grains: Floats
    gains: Floats
    magnitude: Floats
    texture: Floats
    fine: Floats
    place: Floats
    bands: Floats
    powers: Floats
    shares: Floats
    sums: Floats
    short: Floats
    quarters: Floats
    swells: Floats
    rises: Floats
    usual: Floats


_LOWS_HZ, _STEEPNESS = 800.0, 11.5
"""Up to where what is heard is tune rather than texture, and how fast that changes: to 2 % in half an octave."""


def shape_of(layout: MosaicLayout, blur: Floats) -> Shape:
    """Return the constants of a layout."""
    levels = packed(layout.levels.weights)
    below = np.minimum(levels.argmax(0), LEVEL_BANDS - 2).astype(np.int64)
    bins = np.arange(levels.shape[1])
    # The largest of two weights may be the upper one's.
    below -= (below > 0) & (levels[np.maximum(below - 1, 0), bins] > 0) & (levels[below + 1, bins] <= 0)
    slow, usual, mean, shares, level, long_term = (
        math.exp(-layout.hop / layout.rate / seconds)
        for seconds in (_SLOW_S, _USUAL_S, _MEAN_S, _SHARES_S, _LEVEL_S, _LONG_S)
    )
    notes, note_spans = _filters(layout.notes)
    long, long_spans = _filters(layout.levels)
    short, short_spans = _filters(layout.short_levels)
    return Shape(
        notes,
        note_spans,
        long,
        long_spans,
        np.maximum(levels.sum(1), _F(1)),
        short,
        short_spans,
        below,
        np.ascontiguousarray(levels[below + 1, bins]),
        _above(layout),
        blur,
        slow,
        usual,
        mean,
        shares,
        level,
        long_term,
        max(round(_ONSET_GAP_S * layout.rate / layout.hop), 1),
    )


def memory_of(shape: Shape, channels: int) -> Memory:
    """Return the state of silence."""
    bins, bands = shape.notes.shape[1], len(shape.notes)
    fine = zeros(bins)
    fine[:] = 1
    sums = zeros(8)
    sums[3] = 1
    shares = zeros(channels)
    shares[:] = 1
    return Memory(
        zeros(bands),
        zeros(4, LEVEL_BANDS),
        zeros(4, LEVEL_BANDS),
        zeros(2, LEVEL_BANDS),
        zeros(bins),
        zeros(bins),
        fine,
        fine.copy(),
        zeros(bands),
        zeros(channels),
        shares,
        sums,
        zeros(shape.short_levels.shape[1]),
        zeros(3 * QUARTERS),
        zeros(2, LEVEL_BANDS),
        zeros(3, LEVEL_BANDS),
        zeros(2, LEVEL_BANDS),
    )


def _above(layout: MosaicLayout) -> Floats:
    hz = np.fft.rfftfreq(len(layout.window), 1 / layout.rate)
    return np.ascontiguousarray(1 / (1 + (_LOWS_HZ / np.maximum(hz, 1)) ** _STEEPNESS), _F)


def _filters(filters: Filters) -> tuple[Floats, Whole]:
    return packed(filters.weights), filters.spans.numpy().astype(np.int64)


@fast
def powers(spectra: Complex, into: Floats) -> None:
    """Write the mean power over channels of spectra `(C, F)`."""
    channels = len(spectra)
    for i in range(len(into)):
        found = _F(0)
        for channel in range(channels):
            value = spectra[channel, i]
            found += value.real * value.real + value.imag * value.imag
        into[i] = found / channels


@fast
def filtered(weights: Floats, spans: Whole, values: Floats, into: Floats) -> None:
    """Write the bands of `values`."""
    for band in range(len(spans)):
        row, inside = weights[band][spans[band, 0] : spans[band, 1]], values[spans[band, 0] : spans[band, 1]]
        found = _F(0)
        for i in range(len(row)):
            found += row[i] * inside[i]
        into[band] = found


@fast
def total(values: Floats) -> Any:
    """Return the sum."""
    found = _F(0)
    for i in range(len(values)):
        found += values[i]
    return found
