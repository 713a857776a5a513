"""How much begins in each hop of a mosaic: as much as in the content, by one gain over all bands.

How much begins is the mean, over bands, of how far levels rise, in nats of power. Where pieces of the clip begin and
nothing does in the content, the mosaic is quieter, so that no more begins; where something begins in the content, it is
louder. The gain soon leaks back to 1, so that slow swells remain the clip's.

A content with attacks of its own, drums or speech, masks what begins in the clip between them, and the clip's rhythm is
part of its style. There is no gain then. Such a content is one whose rises in a hop spread far, against their mean.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.frame_spectra import Complex, FrameSpectra, advance
from gramophone.realtime.stages.mosaic.state import Whole, fast, filtered, powers

if TYPE_CHECKING:
    from gramophone.models.style.mosaic import MosaicLayout

compiled = partial(jit, forceinline=False)

_F = np.float32
_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 64, 20.0, 11_000.0
_LEAK_S, _USUAL_S = 0.08, 3.0
_QUIET = 1e-3
"""Of a band's usual level: what is quieter neither rises nor falls."""
_LEAST, _MOST = -0.7, 0.7
"""Nats of power between which the gain is."""
_STEP = 1.0
"""Nats by which the gain moves in a frame at most."""
_HALVINGS = 12
_STRIKE = 0.7
"""Mean rise in a hop, in nats, above which all attacks count the same."""
_FEW, _MANY = 0.7, 1.1
"""Spread of the rises over their mean up to which the content has hardly attacks, and from which on it has its own."""
_TINY = 1e-9


class Rises(NamedTuple):
    """Constants and state.

    `filters` `(K, F)` with their spans; `power` `(F,)` and `moves` `(K,)`, work space; `content` and `output` `(K,)`,
    logs of the last frames' levels; `usual` `(K,)`, the content's slow levels; `gain` `(2,)`: in nats of power, and
    whether there was a frame; `struck` `(3,)`: sums of the content's rises, of their squares, and their weight; the
    holds are by frame.
    """

    filters: Floats
    spans: Whole
    power: Floats
    moves: Floats
    content: Floats
    output: Floats
    usual: Floats
    gain: Floats
    struck: Floats
    hold_gain: float
    hold_usual: float


class NoAttacks(NamedTuple):
    """What attacks are measured with, before any sound.

    Windows `(M,)` over the content's newest samples, and over the mosaic's, whose newest are not whole yet; `parts`
    `(P, hop)`, the share that each of the frames of a hop, the newest first, has in its samples; `rises`, the state.
    """

    content: Floats
    output: Floats
    parts: Floats
    rises: Rises


class Attacks:
    """Follows content and mosaic of so many channels, and gives each hop of the mosaic its gain."""

    def __init__(self, start: NoAttacks, channels: int) -> None:
        self._parts, self._rises = start.parts, start.rises
        self._gains = zeros(len(start.parts))
        self._gains[:] = 1
        self._sound, self._span = zeros(channels, len(start.output)), start.parts.size
        self._content, self._output = (FrameSpectra(window, channels) for window in (start.content, start.output))

    def shape(self, past: Audio, pending: Audio, output: Audio, amount: float) -> None:
        """Bring `output` `(C, hop)`, as far as `amount`, to the attacks of the content, whose newest is in `past`.

        `pending` `(C, S)` is the sum of the mosaic's frames, from this hop on.
        """
        self._sound[:, -self._span :] = pending
        follow(self._rises, self._content.look(past), self._output.look(self._sound), amount)
        advance(self._sound, output)
        _apply(self._rises, self._parts, self._gains, output)


def no_attacks(layout: MosaicLayout) -> NoAttacks:
    """Return what attacks are measured with in a layout."""
    import torch

    from gramophone.models.layers.stft import low_delay_windows

    span, hop = len(layout.dual), layout.hop
    length, late = min(2 * span, len(layout.window)), span // 4
    # Most of what a hop's sound will be is there by then; the newest part, which is not, is left out.
    window = torch.nn.functional.pad(low_delay_windows(length - late, 2 * late, hop)[0], (0, late))
    parts = (layout.window[-span:] * layout.dual).reshape(-1, hop)
    there = parts.flip(0).cumsum(0).flip(0).flatten()
    whole = torch.cat([torch.ones(length - span), there.clamp_min(1e-6)])
    return NoAttacks(packed(window), packed(window / whole), packed(parts), no_rises(layout.rate, length, hop))


def no_rises(rate: int, length: int, hop: int) -> Rises:
    """Return the state before any of the frames of `length` samples that are `hop` apart."""
    from gramophone.models.layers.mel import MelBands

    bands = MelBands(rate, length, _BANDS, _LOWEST_HZ, min(_HIGHEST_HZ, 0.45 * rate))
    filters = packed(bands.weights)
    inside = [np.flatnonzero(row) for row in filters]
    spans = np.array([(row[0], row[-1] + 1) if len(row) else (0, 0) for row in inside], np.int64)
    hold_gain, hold_usual = (math.exp(-hop / rate / seconds) for seconds in (_LEAK_S, _USUAL_S))
    moves, content, output, usual = (zeros(_BANDS) for _ in range(4))
    power, gain, struck = zeros(filters.shape[1]), zeros(2), zeros(3)
    return Rises(filters, spans, power, moves, content, output, usual, gain, struck, hold_gain, hold_usual)


@compiled
def follow(rises: Rises, content: Complex, output: Complex, amount: float) -> None:
    """Move the gain to what makes as much begin in the output as in the content, spectra `(C, F)` both."""
    wanted, moves = _F(0), rises.moves
    fresh = rises.gain[1] == 0
    powers(content, rises.power)
    filtered(rises.filters, rises.spans, rises.power, moves)
    for band in range(len(moves)):
        usual = moves[band] if fresh else rises.usual[band]
        rises.usual[band] = moves[band] + (usual - moves[band]) * _F(rises.hold_usual)
        log = _log(moves[band], rises.usual[band])
        wanted += max(log - rises.content[band], _F(0))
        rises.content[band] = log
    powers(output, rises.power)
    filtered(rises.filters, rises.spans, rises.power, moves)
    for band in range(len(moves)):
        log = _log(moves[band], rises.usual[band])
        moves[band] = log - rises.output[band]
        rises.output[band] = log
    if fresh:
        rises.gain[1] = _F(1)
        return
    low, high = _F(-_STEP), _F(_STEP)
    for _ in range(_HALVINGS):
        middle = _F(0.5) * (low + high)
        if _risen(moves, middle) < wanted:
            low = middle
        else:
            high = middle
    needed = _F(amount) * _few_attacks(rises, wanted)
    gain = rises.gain[0] * _F(rises.hold_gain) + needed * _F(0.5) * (low + high)
    rises.gain[0] = min(max(gain, _F(_LEAST)), _F(_MOST))


@compiled
def _few_attacks(rises: Rises, rise: Any) -> Any:
    """Return how far the content is one with hardly an attack, 0 to 1, once its levels have risen by the sum `rise`."""
    struck, hold = rises.struck, _F(rises.hold_usual)
    rise = min(rise / _F(len(rises.moves)), _F(_STRIKE))
    struck[0] = struck[0] * hold + rise
    struck[1] = struck[1] * hold + rise * rise
    struck[2] = struck[2] * hold + _F(1)
    mean = struck[0] / struck[2] + _F(_TINY)
    spread = math.sqrt(max(struck[1] / struck[2] - mean * mean, _F(0))) / mean
    return min(max((_F(_MANY) - spread) / _F(_MANY - _FEW), _F(0)), _F(1))


@compiled
def _log(level: Any, usual: Any) -> Any:
    return _F(math.log(level + _F(_QUIET) * usual + _F(_TINY)))


@fast
def _risen(moves: Floats, more: Any) -> Any:
    """Return the sum of what rises, of levels that move by `moves` `(K,)` and `more`."""
    found = _F(0)
    for band in range(len(moves)):
        found += max(moves[band] + more, _F(0))
    return found


@compiled
def _apply(rises: Rises, parts: Floats, gains: Floats, output: Audio) -> None:
    """Multiply a hop by the gains `(P,)` of its frames, the newest first, each by its part `(P, hop)` in the sum."""
    for frame in range(len(gains) - 1, 0, -1):
        gains[frame] = gains[frame - 1]
    gains[0] = math.exp(0.5 * rises.gain[0])
    for i in range(output.shape[1]):
        factor = _F(0)
        for frame in range(len(gains)):
            factor += parts[frame, i] * gains[frame]
        for channel in range(len(output)):
            output[channel, i] *= factor
