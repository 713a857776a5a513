"""How a frame of content and the grains found for it become one frame of sound.

The tune is the content itself: its partials stay where they are, their envelope becomes that of the grains, and within
it each partial is raised or lowered towards the grains' spectrum. The texture is the grains' own sound. Both follow the
content's level, band by band, in frames as short as the latency allows, so that attacks and pauses stay where they are.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gramophone.models.style.mosaic import LEVEL_BANDS
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.frame_spectra import Complex
from gramophone.realtime.stages.mosaic.state import Memory, Shape, fast, filtered, powers, total

compiled = partial(jit, forceinline=False)

_F = np.float32
_TINY = 1e-12
_MOST_BOOST, _MOST_CUT = 16.0, 1e-4
"""Powers by which a band of the content may be raised (12 dB) and lowered."""
_MOST_FINE, _LEAST_FINE = 100.0, 1e-3
"""The same for a single bin, within its band."""
_FINE_SETTLING = 0.5
_MOST_SWELL, _LEAST_SWELL = 30.0, 1e-5
"""Level of a band, relative to its slow mean."""
_MOST_OVER = 0.9
"""How far above the content's level, in powers of ten, the clip's own may lift the texture while the content sounds."""
_GATE = 1e-4
"""Power relative to the usual; what is quieter is no part of it."""
_PAUSE_FROM, _PAUSE_OVER = 0.01, 1.4
"""Power, of the mean of a second, below which the content pauses, and by which the output may exceed it there."""
_MAKEUP = (0.25, 4.0)
_EQUALISED = (0.01, 100.0)
_ONSET = 0.6
"""Mean rise over the bands, in nats of power from one hop to the next, from which on something begins."""
_PAUSE = 1e-6
"""Power relative to the running mean of frames; below it is a pause, of which nothing is learnt."""


class Amounts(NamedTuple):
    """The parameters in a frame.

    `strength`; `grains`, the texture's share of the power; `fine`, how far partials go to the grains' spectrum;
    `tuned`, how far grains keep to the content's partials; `onsets`, how far levels follow it; `gain`, a factor.
    """

    strength: float
    grains: float
    fine: float
    tuned: float
    onsets: float
    gain: float


@compiled
def look(shape: Shape, memory: Memory, spectra: Complex, short: Complex, target: Floats, frozen: bool) -> bool:
    """Measure a frame of content, spectra `(C, F)` and short ones; return whether something begins in it.

    Its magnitudes in notes' bands, brought to the long-term spectrum `target` `(B,)`, of half octaves, stay in `bands`.
    """
    powers(short, memory.short)
    content = memory.content
    for band in range(LEVEL_BANDS):
        content[2, band] = content[0, band]
    filtered(shape.short_levels, shape.short_spans, memory.short, content[0])
    rise = 0.0
    for band in range(LEVEL_BANDS):
        content[0, band] += _F(_TINY)
        rise += max(math.log(content[0, band] / (content[2, band] + 0.01 * content[1, band] + _TINY)), 0.0)
        content[1, band] = content[0, band] + (content[1, band] - content[0, band]) * _F(shape.hold_slow)
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
def join(shape: Shape, memory: Memory, spectra: Complex, grains: Complex, short: Complex, amounts: Amounts) -> None:
    """Write the frame made of the content's `spectra` `(C, F)` and the `grains`' over the content's.

    `short` `(C, F_short)` are the grains' short spectra.
    """
    sound = _shape_levels(shape, memory, short, amounts)
    _shape_partials(shape, memory, grains, amounts if sound else Amounts(0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    strength = _F(amounts.strength)
    dry = _F(1) - strength
    texture = strength * _F(math.sqrt(amounts.grains)) if sound else _F(0)
    tune = strength * _F(math.sqrt(1.0 - amounts.grains)) if sound else strength
    _channel_shares(shape, memory, spectra)
    _mix(shape, memory, spectra, grains, dry, tune, texture)


@fast
def _hop_power(sound: Audio, number: int, hop: int) -> Any:
    """Return the sum of squares in hop `number` of `sound`."""
    power = _F(0)
    for channel in range(len(sound)):
        line = sound[channel][number * hop : (number + 1) * hop]
        for i in range(hop):
            power += line[i] * line[i]
    return power


@fast
def level(shape: Shape, memory: Memory, sound: Audio, output: Audio, amounts: Amounts) -> None:
    """Bring `output` `(C, hop)` to the level that the content has had for a second, and to the gain; keep pauses.

    `sound` `(C, 3 * hop)` is the content in line with the output (or an attack would be too loud), and the two hops
    after it: the output is quiet by the time that a pause begins, and back before an attack.
    """
    hop = output.shape[1]
    power_in, power_next, power_later = _hop_power(sound, 0, hop), _hop_power(sound, 1, hop), _hop_power(sound, 2, hop)
    power_out = _hop_power(output, 0, hop)
    hold = _F(shape.hold_level)
    memory.sums[0] = power_in + memory.sums[0] * hold
    memory.sums[1] = power_out + memory.sums[1] * hold
    low, high = _MAKEUP
    factor = math.sqrt((memory.sums[0] + _TINY) / (memory.sums[1] + _TINY))
    wanted = _F(amounts.gain * (1.0 + amounts.strength * (min(max(factor, low), high) - 1.0)))
    nearby = min(max(power_in, power_next), max(power_next, power_later))
    depth = nearby / (_F(_PAUSE_FROM * (1.0 - shape.hold_level)) * memory.sums[0] + _F(_TINY))
    allowed = _F(_PAUSE_OVER) * nearby * max(_F(1), depth * depth)
    if power_out * wanted * wanted >= allowed * _F(amounts.gain * amounts.gain):
        limit = _F(amounts.gain * math.sqrt(allowed / (power_out + _F(_TINY))))
        wanted += (min(wanted, limit) - wanted) * _F(amounts.strength)
    before = memory.sums[3]
    step = (wanted - before) / hop
    for channel in range(len(output)):
        for i in range(hop):
            output[channel, i] *= before + step * (i + 1)
    memory.sums[3] = wanted


@compiled
def _shape_levels(shape: Shape, memory: Memory, short: Complex, amounts: Amounts) -> bool:
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
    slow_content, slow_grains, now = total(content[1]), total(grains[1]), total(content[0])
    wanted = _F(0)
    for band in range(LEVEL_BANDS):
        share = grains[1, band] / slow_grains * slow_content
        memory.gains[0, band] = min(max(share / content[1, band], _F(_MOST_CUT)), _F(_MOST_BOOST))
        swell = min(max(content[0, band] / content[1, band], _F(_LEAST_SWELL)), _F(_MOST_SWELL))
        own = min(max(grains[0, band] / grains[1, band], _F(_LEAST_SWELL)), _F(_MOST_SWELL))
        level = share * swell**amounts.onsets * own ** (1.0 - amounts.onsets)
        memory.gains[1, band] = level
        wanted += level
    # The whole's level is the content's as far as onsets are; else the clip's own, gated by the content.
    if fresh:
        memory.sums[5], memory.sums[6] = now, wanted
    memory.sums[5] = now + (memory.sums[5] - now) * hold
    memory.sums[6] = wanted + (memory.sums[6] - wanted) * hold
    usual = max(memory.sums[5] / max(memory.sums[6], _F(_TINY)), _F(_TINY))
    exact = now / max(wanted, _F(_TINY))
    factor = exact**amounts.onsets * usual ** (1.0 - amounts.onsets)
    if now > _F(_GATE) * memory.sums[7]:
        memory.sums[7] = now + (memory.sums[7] - now) * _F(shape.hold_mean)
    depth = math.log10(max(now / max(memory.sums[7], _F(_TINY)), 1e-6))  # 0 as usual, -4 in a pause 40 dB down
    headroom = 10 ** (_MOST_OVER * min(max((depth + 4) / 2, 0.0), 1.0))
    factor = min(max(min(factor, exact * headroom), _F(_LEAST_SWELL) * exact), _F(_MOST_SWELL))
    floor = _F(1e-4) * total(grains[0]) / LEVEL_BANDS
    for band in range(LEVEL_BANDS):
        memory.gains[0, band] = math.sqrt(memory.gains[0, band])
        memory.gains[1, band] = math.sqrt(memory.gains[1, band] * factor / (grains[0, band] + floor))
    return True


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
        wanted = _F(1) + (gain - _F(1)) * _F(amounts.fine)
        memory.fine[i] += (wanted - memory.fine[i]) * _F(_FINE_SETTLING)


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
    shape: Shape, memory: Memory, spectra: Complex, grains: Complex, dry: float, tune: float, texture: float
) -> None:
    """Write the mix to `spectra`."""
    for channel in range(len(spectra)):
        side = _F(texture) * memory.shares[channel]
        for i in range(spectra.shape[1]):
            below, share = shape.below[i], shape.share[i]
            low, high = memory.gains[0, below], memory.gains[0, below + 1]
            own = _F(dry) + _F(tune) * (low + (high - low) * share) * memory.fine[i]
            low, high = memory.gains[1, below], memory.gains[1, below + 1]
            other = side * (low + (high - low) * share) * memory.place[i]
            spectra[channel, i] = spectra[channel, i] * own + grains[channel, i] * other
