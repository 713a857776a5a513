"""The spectral envelope of the sound: `models.nets.speech_envelope`, a frame at a time, by a numba kernel."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.models.units import DEFAULT_HZ, ENVELOPE_FFT, POINTS
from gramophone.realtime.kernels.arrays import Doubles, Floats, packed, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stages.latent.voice_features import advance, transform, transform_constants
from gramophone.realtime.stages.latent.voice_layers import compiled, multiply

_PERIODS, _LIFTER, _LEAST_POWER = 3.0, -0.15, 1e-12
"""As in `models/`, repeated here because numba's cache does not notice when a constant elsewhere changes."""
_QUARTER = ENVELOPE_FFT // 4


class EnvelopePlan(NamedTuple):
    """Constants: `rate` in Hz, how to transform (`order`, `twiddles`), `points` `(1, bins, POINTS)`; and work space."""

    rate: float
    order: NDArray[np.int64]
    twiddles: Doubles
    points: Floats
    spectrum: Doubles
    window: Doubles
    power: Doubles
    filled: Doubles
    summed: Doubles
    logarithm: Floats
    envelope: Floats


class LiveEnvelope:
    """Hops `(hop,)` to the envelope `(POINTS,)` of a moment `ahead` samples ago, or earlier if the pitch is low."""

    def __init__(self, plan: EnvelopePlan, ahead: int) -> None:
        self._envelope, past = plan.envelope[0], np.zeros(ENVELOPE_FFT)
        self._measure = bind(_measure, (plan, past, ahead), plan.envelope[0], 0.0)

    def measure(self, sound: Floats, hz: float) -> tuple[Floats, float]:
        """Return the logarithms of power per Hz, and the RMS, by the pitch in Hz, 0 where nothing is voiced."""
        power = self._measure(sound, hz if hz > 0 else DEFAULT_HZ)
        return self._envelope.copy(), math.sqrt(power)


def plan_of(rate: int) -> EnvelopePlan:
    """Return the constants for sound at `rate` Hz."""
    from gramophone.models.nets.speech_envelope import point_weights

    order, twiddles = transform_constants(ENVELOPE_FFT)
    bins = ENVELOPE_FFT // 2 + 1
    return EnvelopePlan(
        rate=float(rate),
        order=order,
        twiddles=twiddles,
        points=packed(point_weights(rate)[None]),
        spectrum=np.zeros((2, ENVELOPE_FFT)),
        window=np.zeros(ENVELOPE_FFT),
        power=np.zeros(bins),
        filled=np.zeros(bins),
        summed=np.zeros(bins + 2 * _QUARTER + 1),
        logarithm=zeros(1, bins),
        envelope=zeros(1, POINTS),
    )


@compiled
def _measure(bound: Any, sound: Floats, pitch: float) -> Any:
    """Write the envelope, and return the mean power of the sound that it describes."""
    plan, past, ahead = contents(bound)
    advance(past, sound)
    half = 0.5 * _PERIODS * plan.rate / pitch
    half = min(half, ENVELOPE_FFT // 2 - 1.0)
    hz = 0.5 * _PERIODS * plan.rate / half
    centre = len(past) - max(ahead, int(half) + 1)
    _window(plan, past, centre, half)
    transform(plan.spectrum, plan.twiddles)
    bins = len(plan.power)
    for i in range(bins):
        plan.power[i] = plan.spectrum[0, i] ** 2 + plan.spectrum[1, i] ** 2
    place = hz * ENVELOPE_FFT / plan.rate
    for i in range(bins):
        plan.filled[i] = plan.power[i]
        if i < place:
            plan.filled[i] += _at(plan.power, place - i)
    total = _smooth(plan, hz * 2 / 3)
    _without_harmonics(plan, hz)
    for point in range(plan.envelope.shape[1]):
        plan.envelope[0, point] = np.float32(0)
    multiply(plan.envelope, 0, plan.logarithm, 0, plan.points, 0)
    return total


@compiled
def _window(plan: EnvelopePlan, past: Doubles, centre: int, half: float) -> None:
    """Put the windowed sound, without its mean, into the spectrum's place, in bit-reversed order."""
    energy, area, mean = 0.0, 0.0, 0.0
    first = centre - ENVELOPE_FFT // 2
    for i in range(ENVELOPE_FFT // 2 + 1):
        away = (i - ENVELOPE_FFT // 2) / half
        plan.window[i] = 0.5 + 0.5 * math.cos(math.pi * away) if abs(away) < 1 else 0.0
    for i in range(1, ENVELOPE_FFT // 2):
        plan.window[ENVELOPE_FFT - i] = plan.window[i]
    for i in range(ENVELOPE_FFT):
        energy += plan.window[i] ** 2
    scale = 1 / math.sqrt(energy)
    for i in range(ENVELOPE_FFT):
        plan.window[i] *= scale
        if 0 <= first + i < len(past):
            mean += past[first + i] * plan.window[i]
        area += plan.window[i]
    mean /= area
    for i in range(ENVELOPE_FFT):
        at = plan.order[i]
        heard = past[first + at] if 0 <= first + at < len(past) else 0.0
        plan.spectrum[0, i], plan.spectrum[1, i] = (heard - mean) * plan.window[at], 0.0


@compiled
def _smooth(plan: EnvelopePlan, width: float) -> Any:
    """Replace the power by its mean over `width` Hz around each bin; return the mean over all bins."""
    bins = len(plan.power)
    plan.summed[0] = 0.0
    for i in range(bins + 2 * _QUARTER):
        at = abs(i - _QUARTER)
        at = at if at < bins else 2 * (bins - 1) - at
        plan.summed[i + 1] = plan.summed[i] + plan.filled[at]
    half = width * ENVELOPE_FFT / plan.rate / 2
    total = 0.0
    for i in range(bins):
        middle = i + _QUARTER + 0.5
        plan.power[i] = (_at(plan.summed, middle + half) - _at(plan.summed, middle - half)) / (2 * half)
        total += plan.power[i]
    return total / bins


@compiled
def _without_harmonics(plan: EnvelopePlan, hz: float) -> None:
    """Write the logarithm of the power, lifted in its cepstrum, to `plan.logarithm`."""
    bins = len(plan.power)
    for i in range(bins):
        plan.filled[i] = math.log(max(plan.power[i], _LEAST_POWER))
    for i in range(ENVELOPE_FFT):
        at = plan.order[i]
        plan.spectrum[0, i], plan.spectrum[1, i] = plan.filled[min(at, ENVELOPE_FFT - at)], 0.0
    transform(plan.spectrum, plan.twiddles)
    for i in range(ENVELOPE_FFT):
        plan.window[i] = plan.spectrum[0, i] / ENVELOPE_FFT
    for i in range(bins):
        turns = hz * i / plan.rate
        sinc = math.sin(math.pi * turns) / (math.pi * turns) if turns > 0 else 1.0
        plan.filled[i] = sinc * (1 - 2 * _LIFTER + 2 * _LIFTER * math.cos(2 * math.pi * turns))
    for i in range(ENVELOPE_FFT):
        at = plan.order[i]
        plan.spectrum[0, i], plan.spectrum[1, i] = plan.window[at] * plan.filled[min(at, ENVELOPE_FFT - at)], 0.0
    transform(plan.spectrum, plan.twiddles)
    for i in range(bins):
        plan.logarithm[0, i] = plan.spectrum[0, i]


@compiled
def _at(row: Doubles, place: float) -> Any:
    """Return a value of a row at a fractional place."""
    place = min(max(place, 0.0), len(row) - 1.0)
    below = min(int(place), len(row) - 2)
    return row[below] + (row[below + 1] - row[below]) * (place - below)
