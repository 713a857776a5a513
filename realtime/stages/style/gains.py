"""The gains of a frame: from its spectra and a map to a style, gains per bin and noise to fill in.

The Gaussian of the content's frames is mapped to that of a style's (`models.style.transport`). Gains alone can only
shape what the content contains, and large ones amplify its noise; so boosts are limited, and what the style has beyond
them is filled in with noise shaped to the same target, at most a few dB louder than the content. Speech gets less of
that: its intelligibility and clarity are worth more than the last bit of the style.

The constants were chosen by independent judges (docs/figures.md). A frame is one compiled kernel: live, on cold caches,
the same in NumPy took several times as long, most of it to fetch the code of some sixty operations, and the matrices of
the bands, whose entries are nearly all zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.models.style.content_statistics import Aim
from gramophone.models.style.speech_detector import BANDS
from gramophone.models.style.style import FLOOR, GATE, TINY
from gramophone.realtime.kernels.arrays import Doubles, Floats, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit

if TYPE_CHECKING:
    from gramophone.models.style.style_bands import StyleBands

Ints = NDArray[np.int64]

_PEAK_S = 5.0
_LOUDNESS_S = 3.0
_MAKEUP = (0.1, 10.0)
_ACTIVITY_S = 0.3
_ENVELOPE_S = 0.1
_FLATNESS_S = 0.05
_ONSET_S = 0.005
_ONSET_DB = (1.0, 4.0)
"""Mean rise over the bands from one frame to the next: where smoothing begins to be released, where it is off."""
_BEYOND_DB = 10.0
"""How far beyond the limits of gains the smoother may run."""
_NOISY = 0.3
"""Largest share of a band that noise may replace where the style is noisier than the content."""
_NOISE_STRIDE = 113
"""Frames between the places in the loop of noise where channels read: far enough to have nothing in common."""
_DB = 10 / math.log(10)
"""Decibels of a power for each natural logarithm."""

_inline = partial(jit, reassociate=True)


class ContentGains(NamedTuple):
    """The limits for a kind of content: gains in dB, the time constant of gains in steady sound in s, and the fill.

    `fill` is the share of the missing power that is filled in, `tonal` how much of that in bands where the style is
    tonal, `over_db` how far above the content's own level the fill may be.
    """

    boost_db: float
    cut_db: float
    steady_s: float
    fill: float
    tonal: float
    over_db: float


_MUSIC = ContentGains(3.0, -40.0, 0.06, 1.0, 0.6, 3.0)
_SPEECH = ContentGains(12.0, -15.0, 0.04, 0.3, 0.0, -12.0)


class GainMap(NamedTuple):
    """A style map: `matrix` `(B, B)`, `vectors` `(4, B)` (`Aim`), and the probability of speech `(1,)`."""

    matrix: Floats
    vectors: Floats
    speech: Doubles

    @staticmethod
    def of(aim: Aim) -> GainMap:
        """Return the map of an aim, in arrays of its own."""
        return GainMap(aim.matrix.copy(order="C"), aim.vectors.copy(order="C"), np.array([aim.speech]))

    def become(self, other: GainMap) -> None:
        """Take over another map's numbers."""
        self.matrix[:], self.vectors[:], self.speech[:] = other


class GainChange(NamedTuple):
    """The parameters in a frame: `strength` 0 to 1 along the geodesic, `fill` and `gain` as factors.

    `fade` is the factor per frame by which earlier frames lose weight in the content's level.
    """

    strength: float
    fill: float
    gain: float
    fade: float


class GainPlan(NamedTuple):
    """A band layout of `B` bands over `F` bins, without the zeros of its matrices.

    Band `b`, one of the `B` or one of the speech detector's, has bins from `first[b]` on, with the weights `weights`
    from `starts[b]` to `starts[b + 1]`. Bin `f` lies between the bands `below[f]` and the next, with the weights
    `hats[:, f]`. `noise` `(N, 2 F)` are the spectra in a loop that are filled in; `decays` are factors a frame of the
    peak, the loudness, the activity, the envelopes, the flatness and the gains at an onset.
    """

    bands: int
    frame_s: float
    first: Ints
    starts: Ints
    weights: Floats
    below: Ints
    hats: Floats
    noise_flatness: Floats
    noise: Floats
    decays: Doubles


class GainState(NamedTuple):
    """What a frame leaves to the next, by band `(B,)` and by channel `(C,)`, and `levels`; `by_bin` is work space.

    `levels` are the peak, the level, its weight, the sums of powers in and out, the activity and the envelope.
    """

    last: Floats
    smoothed: Floats
    flatness: Floats
    envelopes: Floats
    levels: Doubles
    by_bin: Floats


def plan_of(layout: StyleBands) -> GainPlan:
    """Return the constants of a band layout."""
    matrix = layout.analysis.numpy()[:, : layout.bands + BANDS]
    runs = [np.flatnonzero(column) for column in matrix.T]
    bounds = [(int(run[0]), int(run[-1]) + 1) if len(run) else (0, 0) for run in runs]
    hats = layout.hats.numpy()
    below = np.clip((hats > 0).argmax(0), 0, max(layout.bands - 2, 0))
    next_one = np.minimum(below + 1, layout.bands - 1)
    bins = np.arange(layout.bins)
    frame_s = 1 / layout.grid.frames(1.0)
    seconds = (_PEAK_S, _LOUDNESS_S, _ACTIVITY_S, _ENVELOPE_S, _FLATNESS_S, _ONSET_S)
    return GainPlan(
        bands=layout.bands,
        frame_s=frame_s,
        first=np.array([first for first, _ in bounds]),
        starts=np.cumsum([0] + [end - first for first, end in bounds]),
        weights=np.concatenate([matrix[first:end, band] for band, (first, end) in enumerate(bounds)]),
        below=below,
        hats=np.stack((hats[below, bins], np.where(next_one > below, hats[next_one, bins], np.float32(0)))),
        noise_flatness=layout.noise_flatness.numpy(),
        noise=layout.noise.contiguous().numpy().view(np.float32),
        decays=np.exp(-frame_s / np.array(seconds)),
    )


def state_of(plan: GainPlan, channels: int) -> GainState:
    """Return the state before any sound."""
    last, smoothed, flatness = (zeros(plan.bands) for _ in range(3))
    return GainState(last, smoothed, flatness, zeros(channels), np.zeros(7), zeros(4, len(plan.below)))


_PEAK, _LEVEL, _WEIGHT, _INPUT, _OUTPUT, _ACTIVE, _ENVELOPE = range(7)
"""Places in `GainState.levels`."""
_PEAK_DECAY, _LOUDNESS_DECAY, _ACTIVITY_DECAY, _ENVELOPE_DECAY, _FLATNESS_DECAY, _ONSET_DECAY = range(6)
"""Places in `GainPlan.decays`."""


class GainParts(NamedTuple):
    """What frames are restyled by and in: `position`, 0 to 1, is between the two `maps`.

    `spectra` `(C, 2 F)`, real and imaginary parts in turn, are restyled in place. A row of `observations` `(n, B + 17)`
    gets the frame in dB, the powers for the speech detector, and 1, or 0 in a pause.
    """

    plan: GainPlan
    state: GainState
    maps: tuple[GainMap, GainMap]
    spectra: Floats
    observations: Floats


def restyler(parts: GainParts) -> Callable[[int, float, GainChange, int], None]:
    """Return what restyles a frame, of the row to observe in, the position between the maps, the change, the number."""
    return bind(_compiled, parts, 0, 0.0, GainChange(0.0, 0.0, 0.0, 0.0), 0)


def _restyle(bound: Any, row: int, position: float, change: GainChange, number: int) -> None:
    parts = contents(bound)
    plan, state, maps = parts.plan, parts.state, parts.maps
    spectra, observation = parts.spectra, parts.observations[row]
    bands = plan.bands
    power, logs, factors, filling = state.by_bin[0], state.by_bin[1], state.by_bin[2], state.by_bin[3]
    total = _add_powers(plan, state, spectra, power, logs)
    frame, flatness = observation[:bands], np.empty(bands, np.float32)
    sums = np.empty(len(plan.first), np.float32)
    _sum_bands(plan, power, logs, sums, flatness)
    level, loud = _follow_level(plan, state.levels, total, change.fade)
    for band in range(bands):
        frame[band] = _DB * math.log(sums[band] / level + FLOOR)
    for i in range(bands, len(sums)):  # numba takes 2 s to compile an assignment of arrays
        observation[i] = sums[i]
    observation[-1] = loud

    speech = maps[0].speech[0] + (maps[1].speech[0] - maps[0].speech[0]) * position
    limits = _limits(speech)
    vectors = maps[0].vectors + (maps[1].vectors - maps[0].vectors) * np.float32(position)
    desired = _map(maps, frame, vectors, np.float32(position), speech)
    gains = _smoothed_gains(plan, state, frame, desired, limits, change.strength)
    for band in range(bands):
        state.last[band] = frame[band]
        state.flatness[band] = flatness[band] + (state.flatness[band] - flatness[band]) * plan.decays[_FLATNESS_DECAY]
    share = limits.fill * change.fill * change.strength * min(10 * state.levels[_ACTIVE], 1.0)
    kept, missing = np.empty(bands, np.float32), np.empty(bands, np.float32)
    for band in range(bands):
        noisy, lacking = vectors[2, band], vectors[3, band] - state.flatness[band]
        lacking /= max(plan.noise_flatness[band] - state.flatness[band], 0.05)
        swapped = _NOISY * (1 - speech) * change.strength * min(max(lacking, 0.0), 0.95)
        gain, power_in = np.float64(gains[band]), np.float64(sums[band])  # or what cancels would be filled with noise
        factor = gain * (1 - swapped)
        # Where part of a band is swapped for noise, the fill makes up for all of it.
        needed = max(math.exp(desired[band] / _DB) * level, gain * power_in) - factor * power_in
        missing[band] = max(needed, 0.0) * (limits.tonal + (1 - limits.tonal) * noisy) * share
        kept[band] = math.log(factor)

    amount, passed = _spread(plan, kept, missing, power, factors, filling)
    allowed = min(1.0, state.levels[_ENVELOPE] * math.exp(limits.over_db / _DB) / (amount + TINY))
    factor = _make_up(plan, state.levels, total, passed + amount * allowed, loud) * change.gain
    _apply(plan, state, spectra, factors, filling, factor, allowed, number)


_compiled = jit(_restyle, forceinline=False)


@_inline
def _add_powers(plan: GainPlan, state: GainState, spectra: Floats, power: Floats, logs: Floats) -> float:
    """Put the mean power of each bin over the channels into `power`, and its logarithm; return the mean of all."""
    channels, bins = len(spectra), len(power)
    for i in range(bins):
        power[i] = np.float32(0)
    total = 0.0
    for channel in range(channels):
        parts = spectra[channel]
        own = 0.0
        for i in range(bins):
            value = parts[2 * i] * parts[2 * i] + parts[2 * i + 1] * parts[2 * i + 1]
            power[i] += value
            own += value
        now = own / bins
        total += now / channels
        envelope = state.envelopes[channel]
        state.envelopes[channel] = now + (envelope - now) * plan.decays[_ENVELOPE_DECAY]
    scale = np.float32(1 / channels)
    for i in range(bins):
        power[i] *= scale
        logs[i] = math.log(power[i] + np.float32(TINY))
    return total


@_inline
def _sum_bands(plan: GainPlan, power: Floats, logs: Floats, sums: Floats, flatness: Floats) -> None:
    """Put the power of each band into `sums`, and its geometric over its arithmetic mean into `flatness` `(B,)`."""
    for band in range(len(plan.first)):
        first, size = plan.first[band], plan.starts[band + 1] - plan.starts[band]
        weights = plan.weights[plan.starts[band] : plan.starts[band + 1]]
        powers, logarithms = power[first : first + size], logs[first : first + size]
        total, log_total = np.float32(0), np.float32(0)
        for i in range(size):
            total += weights[i] * powers[i]
            log_total += weights[i] * logarithms[i]
        sums[band] = total
        if band < plan.bands:
            flatness[band] = math.exp(log_total) / (total + np.float32(TINY))


@_inline
def _follow_level(plan: GainPlan, levels: Doubles, total: float, fade: float) -> tuple[float, bool]:
    """Include a frame's power; return the level of the sound so far, and whether the frame is no pause."""
    levels[_PEAK] = max(total, levels[_PEAK] * plan.decays[_PEAK_DECAY])
    loud = total > max(levels[_PEAK] * GATE, TINY)
    if loud:
        levels[_LEVEL] = levels[_LEVEL] * fade + total
        levels[_WEIGHT] = levels[_WEIGHT] * fade + 1
    level = max(levels[_LEVEL] / levels[_WEIGHT], TINY) if levels[_WEIGHT] else 1.0
    levels[_ENVELOPE] = total + (levels[_ENVELOPE] - total) * plan.decays[_ENVELOPE_DECAY]
    levels[_ACTIVE] = max(total / level, levels[_ACTIVE] * plan.decays[_ACTIVITY_DECAY])
    return level, loud


@_inline
def _limits(speech: float) -> ContentGains:
    """Return the limits between those of music (0) and those of speech (1)."""
    return ContentGains(
        _MUSIC.boost_db + (_SPEECH.boost_db - _MUSIC.boost_db) * speech,
        _MUSIC.cut_db + (_SPEECH.cut_db - _MUSIC.cut_db) * speech,
        _MUSIC.steady_s + (_SPEECH.steady_s - _MUSIC.steady_s) * speech,
        _MUSIC.fill + (_SPEECH.fill - _MUSIC.fill) * speech,
        _MUSIC.tonal + (_SPEECH.tonal - _MUSIC.tonal) * speech,
        _MUSIC.over_db + (_SPEECH.over_db - _MUSIC.over_db) * speech,
    )


@_inline
def _map(maps: tuple[GainMap, GainMap], frame: Floats, vectors: Floats, position: np.float32, speech: float) -> Floats:
    """Return where the map takes a frame, in dB; speech keeps its own dynamics where the style is tonal."""
    desired: Floats = vectors[0].copy()
    for source in range(len(frame)):
        value, before, after = frame[source], maps[0].matrix[source], maps[1].matrix[source]
        for band in range(len(frame)):
            desired[band] += value * (before[band] + (after[band] - before[band]) * position)
    for band in range(len(frame)):
        shifted = frame[band] + vectors[1, band]
        desired[band] += (shifted - desired[band]) * (speech * (1 - vectors[2, band]))
    return desired


@_inline
def _smoothed_gains(
    plan: GainPlan, state: GainState, frame: Floats, desired: Floats, limits: ContentGains, strength: float
) -> Floats:
    """Return the gains as factors after a smoother that is released at onsets, within the content's limits."""
    rise = np.float32(0)
    for band in range(len(frame)):
        rise += max(frame[band] - state.last[band], np.float32(0))
    onset = min(max((rise / len(frame) - _ONSET_DB[0]) / (_ONSET_DB[1] - _ONSET_DB[0]), 0.0), 1.0)
    steady = math.exp(-plan.frame_s / limits.steady_s)
    hold = steady + (plan.decays[_ONSET_DECAY] - steady) * onset
    gains = np.empty(len(frame), np.float32)
    for band in range(len(frame)):
        change = desired[band] - frame[band]
        change = min(max(change, limits.cut_db - _BEYOND_DB), limits.boost_db + _BEYOND_DB)
        state.smoothed[band] = change + (state.smoothed[band] - change) * hold
        gains[band] = math.exp(min(max(state.smoothed[band], limits.cut_db), limits.boost_db) * strength / _DB)
    return gains


@_inline
def _spread(
    plan: GainPlan, kept: Floats, missing: Floats, power: Floats, factors: Floats, filling: Floats
) -> tuple[float, float]:
    """Put the gains of bins and the power to fill in into `factors` and `filling`.

    Return the mean power of the fill, and that of what the gains let pass.
    """
    amount, passed, last = 0.0, 0.0, len(kept) - 1
    for i in range(len(power)):
        low, high = plan.hats[0, i], plan.hats[1, i]
        band = plan.below[i]
        above = min(band + 1, last)
        factors[i] = math.exp(kept[band] * low + kept[above] * high)
        filling[i] = missing[band] * low + missing[above] * high
        amount += filling[i]
        passed += power[i] * factors[i]
    return amount / len(power), passed / len(power)


@_inline
def _make_up(plan: GainPlan, levels: Doubles, before: float, after: float, loud: bool) -> float:
    """Return the factor that keeps the output as loud as the input, given a frame's power before and after."""
    if loud:
        levels[_INPUT] = levels[_INPUT] * plan.decays[_LOUDNESS_DECAY] + before
        levels[_OUTPUT] = levels[_OUTPUT] * plan.decays[_LOUDNESS_DECAY] + after
    return min(max(math.sqrt((levels[_INPUT] + TINY) / (levels[_OUTPUT] + TINY)), _MAKEUP[0]), _MAKEUP[1])


@_inline
def _apply(
    plan: GainPlan,
    state: GainState,
    spectra: Floats,
    factors: Floats,
    filling: Floats,
    factor: float,
    allowed: float,
    number: int,
) -> None:
    """Multiply spectra by the gains, and add noise, distributed over the channels as the content's power is."""
    gain, fill = np.float32(factor), np.float32(math.sqrt(allowed) * factor)
    for i in range(len(factors)):
        factors[i] = math.sqrt(factors[i]) * gain
        filling[i] = math.sqrt(filling[i]) * fill
    mean = 0.0
    for channel in range(len(spectra)):
        mean += state.envelopes[channel] / len(spectra)
    for channel in range(len(spectra)):
        parts = spectra[channel]
        noise = plan.noise[(number + _NOISE_STRIDE * channel) % len(plan.noise)]
        share = np.float32(math.sqrt((state.envelopes[channel] + TINY) / (mean + TINY)) if len(spectra) > 1 else 1.0)
        for i in range(len(factors)):
            parts[2 * i] = parts[2 * i] * factors[i] + noise[2 * i] * (filling[i] * share)
            parts[2 * i + 1] = parts[2 * i + 1] * factors[i] + noise[2 * i + 1] * (filling[i] * share)
