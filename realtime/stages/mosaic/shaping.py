"""How a frame of content and the grains found for it become one frame of sound.

The tune is the content itself: its partials stay where they are, their envelope becomes that of the grains, and within
it what is no partial is raised or lowered towards the grains' spectrum. The texture is the grains' own sound. Both have
the same levels, band by band, in frames as short as the latency allows: the clip's spectrum, moved as the content's
moves, so that attacks, words and pauses stay where they are.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gramophone.models.units import LEVEL_BANDS
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stages.frame_spectra import Complex
from gramophone.realtime.stages.mosaic.modulation import Modulation, modulated, note_frame
from gramophone.realtime.stages.mosaic.speech import SpeechMemory, listen
from gramophone.realtime.stages.mosaic.state import Memory, Shape, fast, filtered, powers, total

compiled = partial(jit, forceinline=False)

_F = np.float32
_TINY = 1e-12
_MOST_BOOST, _MOST_CUT = 16.0, 1e-4
"""Powers by which a band of the content may be raised (12 dB) and lowered."""
_MOST_FINE, _LEAST_FINE = 100.0, 1e-3
"""The same for a single bin, within its band."""
_FINE_SETTLING = 0.5
_PARTIAL = 0.6
"""Slope by which a bin whose amplitude is above its band's mean counts as a partial: fully at 2.7 times the mean."""
_LEAST_LEFT = 0.03
"""Share of a band's power that the way to the other's partials is taken to leave at least."""
_MOST_SWELL, _LEAST_SWELL = 30.0, 1e-5
_MOST_LOG, _LEAST_LOG = math.log(_MOST_SWELL), math.log(_LEAST_SWELL)
"""Level of a band, relative to its slow mean; the same in nats."""
_WIDE = 10
"""Bands to either side over which the content's level counts for attacks: 1.5 octaves in the middle."""
_DETAIL_FROM = 0.9
"""Value of `onsets` up to which single bands, within those around them, move as the clip's do."""
_RISE, _RISE_WITH = 0.02, 1.5
"""Nats in a frame by which a single band may rise as the clip's does, and how many times the content's rise around."""
_MOST_OVER = 0.9
_FULL_OVER_FROM, _NONE_OVER_BELOW = -0.1, -1.2
"""How far above the content's level, in powers of ten, the clip's own may lift the sound: at levels, in powers of ten
relative to the usual, from the first on; below the second not at all."""
_GATE = 1e-4
"""Power relative to the usual; what is quieter is no part of it."""
_EQUALISED = (0.01, 100.0)
_ONSET = 0.6
"""Mean rise over the bands, in nats of power from one hop to the next, from which on something begins."""
_PAUSE = 1e-6
"""Power relative to the running mean of frames; below it is a pause, of which nothing is learnt."""


class Amounts(NamedTuple):
    """The parameters in a frame.

    `strength`; `low` and `high`, the texture's shares of the power in the lows and above them; `fine`, how far partials
    go to the grains' spectrum; `tuned`, how far grains keep to the content's partials; `onsets`, how far levels follow
    it; `dynamics`, how far they move as the clip's do by rate; `exact`, how far they are the content's own through a
    filter that stays, for words; `gain`, a factor.
    """

    strength: float
    low: float
    high: float
    fine: float
    tuned: float
    onsets: float
    dynamics: float
    exact: float
    gain: float


_NOTHING = Amounts(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@compiled
def look(
    shape: Shape, memory: Memory, speech: SpeechMemory, spectra: Complex, short: Complex, target: Floats, frozen: bool
) -> bool:
    """Measure a frame of content, spectra `(C, F)` and short ones; return whether something begins in it.

    The `speech` detector takes the frame, too. The frame's magnitudes in notes' bands, brought to the long-term
    spectrum `target` `(B,)`, of half octaves, stay in `bands`.
    """
    powers(short, memory.short)
    listen(speech, memory.short)
    content = memory.content
    for band in range(LEVEL_BANDS):
        content[2, band] = content[0, band]
    filtered(shape.short_levels, shape.short_spans, memory.short, content[0])
    rise = 0.0
    for band in range(LEVEL_BANDS):
        content[0, band] += _F(_TINY)
        rise += max(math.log(content[0, band] / (content[2, band] + 0.01 * content[1, band] + _TINY)), 0.0)
        content[1, band] = content[0, band] + (content[1, band] - content[0, band]) * _F(shape.hold_usual)
    memory.sums[2] += _F(1)
    onset = rise > _ONSET * LEVEL_BANDS and memory.sums[2] >= shape.gap
    if onset:
        memory.sums[2] = _F(0)
    powers(spectra, memory.magnitude)
    power = total(memory.magnitude)
    for i in range(len(memory.magnitude)):
        memory.magnitude[i] = math.sqrt(memory.magnitude[i])
    filtered(shape.notes, shape.note_spans, memory.magnitude, memory.bands)
    usual = memory.sums[4]
    memory.sums[4] = power + (usual - power) * _F(shape.hold_level)
    loud = power > _PAUSE * usual and power > _TINY * len(memory.magnitude)
    if not loud:
        memory.bands[:] = _F(0)
        return False
    if not frozen:
        hold = _F(shape.hold_mean)
        for band in range(len(memory.bands)):
            memory.mean[band] = memory.mean[band] * hold + memory.bands[band]
    _equalise(shape, memory, target)
    return onset


@fast
def _equalise(shape: Shape, memory: Memory, target: Floats) -> None:
    """Bring `bands` from the content's long-term spectrum to the clip's, `target`, both over half an octave."""
    whole = max(total(memory.mean), _F(_TINY))
    low, high = _EQUALISED
    for band in range(len(memory.bands)):
        row, own = shape.blur[band], _F(_TINY)
        for other in range(len(row)):
            own += row[other] * memory.mean[other]
        memory.bands[band] *= min(max((target[band] + _F(_TINY)) * whole / own, _F(low)), _F(high))


@compiled
def join(
    shape: Shape,
    memory: Memory,
    spectra: Complex,
    grains: Complex,
    short: Complex,
    modulation: Modulation,
    wanted: Floats,
    amounts: Amounts,
) -> None:
    """Write the frame made of the content's `spectra` `(C, F)` and the `grains`' over the content's.

    `short` `(C, F_short)` are the grains' short spectra; `wanted` `(J, K)` how the clip's levels move by rate.
    """
    sound = _shape_levels(shape, memory, short, modulation, wanted, amounts)
    _shape_partials(shape, memory, grains, amounts if sound else _NOTHING)
    _channel_shares(shape, memory, spectra)
    low, high = (amounts.low, amounts.high) if sound else (0.0, 0.0)
    _mix(shape, memory, spectra, grains, _F(amounts.strength), _F(low), _F(high))


@compiled
def _shape_levels(
    shape: Shape, memory: Memory, short: Complex, modulation: Modulation, wanted: Floats, amounts: Amounts
) -> bool:
    """Write the gains of tune and texture by level band; return whether there are grains."""
    powers(short, memory.short)
    filtered(shape.short_levels, shape.short_spans, memory.short, memory.grains[0])
    content, grains, hold = memory.content, memory.grains, _F(shape.hold_slow)
    if total(grains[0]) <= _TINY:
        for band in range(LEVEL_BANDS):
            memory.gains[0, band], memory.gains[1, band] = _F(1), _F(0)
        return False
    fresh = total(grains[1]) <= _TINY
    for band in range(LEVEL_BANDS):
        grains[0, band] += _F(_TINY)
        slow = grains[0, band] if fresh else grains[1, band]
        grains[1, band] = grains[0, band] + (slow - grains[0, band]) * hold
    heard = total(content[0]) > _F(_GATE) * memory.sums[7]
    if heard:
        note_frame(modulation, shape.hold_mean)
        for band in range(LEVEL_BANDS):
            memory.usual[0, band] = memory.usual[0, band] * _F(shape.hold_long) + content[0, band]
            memory.usual[1, band] = memory.usual[1, band] * _F(shape.hold_usual) + grains[0, band]
    slow_content, slow_grains, now = total(content[1]), total(grains[1]), total(content[0])
    level_sum = _F(0)
    swells, onsets = memory.swells, amounts.onsets
    for band in range(LEVEL_BANDS):
        swells[0, band] = _swell(content[0, band], content[1, band])
        swells[1, band] = _swell(grains[0, band], grains[1, band])
    detail = max((onsets - _DETAIL_FROM) / (1.0 - _DETAIL_FROM), 0.0)
    _align_rises(memory)
    for band in range(LEVEL_BANDS):
        share = math.log(grains[1, band] / slow_grains * slow_content + _TINY)
        wide = _wide(swells[0], band)
        log = onsets * wide + detail * (swells[0, band] - wide)
        log += (1.0 - onsets) * _wide(swells[1], band) + (1.0 - detail) * memory.rises[2, band]
        log = share + min(max(log, _LEAST_LOG), _MOST_LOG)
        log = modulated(modulation, wanted, band, _F(log), heard, fresh, _F(amounts.dynamics))
        log = min(log, share + _MOST_LOG)
        if amounts.exact > 0:
            log += amounts.exact * (_filtered_level(memory, band) - log)
        memory.gains[1, band] = math.exp(log)
        level_sum += memory.gains[1, band]
    factor = _overall(shape, memory, now, level_sum, fresh, amounts.exact)
    floor, floor_content = _F(1e-4) * total(grains[0]) / LEVEL_BANDS, _F(1e-4) * now / LEVEL_BANDS
    for band in range(LEVEL_BANDS):
        level = memory.gains[1, band] * factor
        boost = level / (content[0, band] + floor_content)
        memory.gains[0, band] = math.sqrt(min(max(boost, _F(_MOST_CUT)), _F(_MOST_BOOST)))
        memory.gains[1, band] = math.sqrt(level / (grains[0, band] + floor))
    return True


@compiled
def _swell(level: Any, usual: Any) -> Any:
    """Return a level relative to its slow mean, in nats of power."""
    return min(max(math.log(level / usual), _LEAST_LOG), _MOST_LOG)


@compiled
def _filtered_level(memory: Memory, band: int) -> Any:
    """Return the content's level in nats, filtered from its long-term spectrum to the clip's.

    Words are in the levels of bands against each other: a filter that moves within a sentence moves its vowels.
    """
    own, other = memory.usual[0], memory.usual[1]
    ratio = (other[band] + _F(_TINY)) / (total(other) + _F(_TINY))
    ratio *= (total(own) + _F(_TINY)) / (own[band] + _F(_TINY))
    return math.log(memory.content[0, band] * ratio + _TINY)


@compiled
def _align_rises(memory: Memory) -> None:
    """Move `rises[2]` to how single bands of the grains move within those around: up when the content rises, too.

    So what begins in the clip begins when something begins in the content.
    """
    swells, rises = memory.swells, memory.rises
    for band in range(LEVEL_BANDS):
        rises[1, band] = max(swells[0, band] - rises[0, band], _F(0))
        rises[0, band] = swells[0, band]
    for band in range(LEVEL_BANDS):
        most = rises[2, band] + _RISE + _RISE_WITH * _wide(rises[1], band)
        rises[2, band] = min(swells[1, band] - _wide(swells[1], band), most)


@compiled
def _wide(swells: Floats, band: int) -> Any:
    """Return the mean of `swells` `(J,)` around a band, under a triangle."""
    found, count = 0.0, 0.0
    for other in range(max(band - _WIDE, 0), min(band + _WIDE + 1, LEVEL_BANDS)):
        weight = _WIDE + 1.0 - abs(other - band)
        found += weight * swells[other]
        count += weight
    return found / count


@compiled
def _overall(shape: Shape, memory: Memory, now: Any, wanted: Any, fresh: bool, exact: float) -> Any:
    """Return the factor of all levels, whose sum is `wanted` where the content's is `now`.

    In the mean the sums are equal: of a quarter of a second, or of three as far as `exact`. In its pauses the content's
    sum is the most.
    """
    if fresh:
        memory.sums[5], memory.sums[6] = now, wanted
    hold = _F(shape.hold_slow + exact * (shape.hold_usual - shape.hold_slow))
    memory.sums[5] = now + (memory.sums[5] - now) * hold
    memory.sums[6] = wanted + (memory.sums[6] - wanted) * hold
    usual = max(memory.sums[5] / max(memory.sums[6], _F(_TINY)), _F(_TINY))
    same = now / max(wanted, _F(_TINY))
    if now > _F(_GATE) * memory.sums[7]:
        memory.sums[7] = now + (memory.sums[7] - now) * _F(shape.hold_mean)
    depth = math.log10(max(now / max(memory.sums[7], _F(_TINY)), 1e-6))
    open_ = min(max((depth - _NONE_OVER_BELOW) / (_FULL_OVER_FROM - _NONE_OVER_BELOW), 0.0), 1.0)
    most = same * 10 ** (_MOST_OVER * open_)
    return _F(min(max(min(usual, most), _LEAST_SWELL * same), _MOST_SWELL))


@compiled
def _shape_partials(shape: Shape, memory: Memory, grains: Complex, amounts: Amounts) -> None:
    """Move `fine` to the gains that lead, in bands, from the content's spectrum to the grains', `place` to those back.

    The way back only takes away: what the content does not have, grains are to have less of.
    """
    bins = len(memory.fine)
    if amounts.fine <= 0 and amounts.tuned <= 0:
        for i in range(bins):
            memory.fine[i] += (_F(1) - memory.fine[i]) * _F(_FINE_SETTLING)
            memory.place[i] += (_F(1) - memory.place[i]) * _F(_FINE_SETTLING)
        return
    powers(grains, memory.texture)
    for i in range(bins):
        memory.magnitude[i] *= memory.magnitude[i]
    filtered(shape.levels, shape.level_spans, memory.magnitude, memory.content[2])
    filtered(shape.levels, shape.level_spans, memory.texture, memory.grains[2])
    for band in range(LEVEL_BANDS):
        memory.content[2, band] = memory.content[2, band] / shape.widths[band] + _F(_TINY)
        memory.grains[2, band] = memory.grains[2, band] / shape.widths[band] + _F(_TINY)
    for i in range(bins):
        below, share = shape.below[i], shape.share[i]
        own = memory.content[2, below] + (memory.content[2, below + 1] - memory.content[2, below]) * share
        other = memory.grains[2, below] + (memory.grains[2, below + 1] - memory.grains[2, below]) * share
        ratio = (memory.texture[i] * own) / (other * (memory.magnitude[i] + _F(1e-3) * own))
        gain = math.sqrt(min(max(ratio, _F(_LEAST_FINE)), _F(_MOST_FINE)))
        back = 1.0 / max(gain, 1.0)
        memory.place[i] += (_F(1.0 + (back - 1.0) * amounts.tuned) - memory.place[i]) * _F(_FINE_SETTLING)
        partial = min(max(_F(_PARTIAL) * (math.sqrt(memory.magnitude[i] / own) - _F(1)), _F(0)), _F(1))
        wanted = _F(1) + (gain - _F(1)) * _F(amounts.fine) * (_F(1) - partial)
        memory.fine[i] += (wanted - memory.fine[i]) * _F(_FINE_SETTLING)
    if amounts.exact > 0:
        _give_back(shape, memory, amounts.exact)


@compiled
def _give_back(shape: Shape, memory: Memory, exact: float) -> None:
    """Raise or lower the bands' gains by what `fine` and `place` took from their power, or added."""
    for i in range(len(memory.fine)):
        memory.magnitude[i] *= memory.fine[i] * memory.fine[i]
        memory.texture[i] *= memory.place[i] * memory.place[i]
    power = exact / 2
    for levels, spectrum, gains in (
        (memory.content, memory.magnitude, memory.gains[0]),
        (memory.grains, memory.texture, memory.gains[1]),
    ):
        filtered(shape.levels, shape.level_spans, spectrum, levels[3])
        for band in range(LEVEL_BANDS):
            left = levels[3, band] / shape.widths[band] + _F(_LEAST_LEFT) * levels[2, band] + _F(_TINY)
            gains[band] *= (levels[2, band] / left) ** power


@compiled
def _channel_shares(shape: Shape, memory: Memory, spectra: Complex) -> None:
    """Follow how the content's power is spread over its channels; amplitudes, 1 where all are equal."""
    channels = len(spectra)
    if channels == 1:
        return
    whole = _F(0)
    for channel in range(channels):
        power = _F(_TINY)
        for i in range(spectra.shape[1]):
            value = spectra[channel, i]
            power += value.real * value.real + value.imag * value.imag
        memory.powers[channel] = power
        whole += power
    for channel in range(channels):
        now = math.sqrt(memory.powers[channel] / whole * channels)
        memory.shares[channel] = now + (memory.shares[channel] - now) * _F(shape.hold_shares)


@fast
def _mix(
    shape: Shape, memory: Memory, spectra: Complex, grains: Complex, strength: float, low: float, high: float
) -> None:
    """Write the mix to `spectra`; `low` and `high` are the texture's shares of the power."""
    # What the two arrays held is used up by now.
    tune, texture = memory.magnitude, memory.texture
    for i in range(len(tune)):
        below, at = shape.below[i], shape.share[i]
        share = min(max(low + (high - low) * shape.above[i], _F(0)), _F(1))
        gain = memory.gains[0, below] + (memory.gains[0, below + 1] - memory.gains[0, below]) * at
        tune[i] = _F(1) - strength + strength * math.sqrt(_F(1) - share) * gain * memory.fine[i]
        gain = memory.gains[1, below] + (memory.gains[1, below + 1] - memory.gains[1, below]) * at
        texture[i] = strength * math.sqrt(share) * gain * memory.place[i]
    for channel in range(len(spectra)):
        side = memory.shares[channel]
        for i in range(spectra.shape[1]):
            spectra[channel, i] = spectra[channel, i] * tune[i] + grains[channel, i] * (texture[i] * side)
