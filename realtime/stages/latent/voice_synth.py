"""The sound of a voice on one core, a frame at a time: what `VoiceDecoder` makes of its network's envelopes, by numba.

Harmonics are turned out of the first by rotation, for all samples of the hop at once, rather than by as many sines.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.models.nets.voice import VoiceDecoder
from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.stages.latent.voice_layers import compiled

_F = np.float32
_MIDDLE_HZ, _VOICED, _TILT_HZ, _SILENCE = 160.0, 0.05, 1000.0, -11.5
_LOUDEST, _STEEP, _SOFTEST = 2.0, 2.3026, 1e-7
_FADE = 0.05
_LINEAR_HZ_PER_MEL, _LOG_FROM_HZ, _LOG_STEP = 200 / 3, 1000.0, math.log(6.4) / 27
"""As in `models/`: written down again, for what numba keeps compiled does not see constants elsewhere change."""


class SynthPlan(NamedTuple):
    """The sizes: samples a second and a hop, grains in it, harmonics; points of either envelope, bands of noise.

    `filters` `(bands, taps)` make a filter of magnitudes; `noise` is what goes through it, round and round.
    """

    rate: int
    hop: int
    grains: int
    harmonics: int
    points: int
    noise_points: int
    filters: Floats
    noise: Floats


class SynthState(NamedTuple):
    """What is remembered, and room to work in.

    `pitch`: Hz, phase in cycles, gain; `place`: samples of noise used; `strengths` `(2, K)` and `filters` `(2, taps)`,
    old and new; `sines` `(4, hop)`: sine and cosine of the first harmonic, and of the one in hand.
    """

    pitch: NDArray[np.float64]
    place: NDArray[np.int64]
    strengths: Floats
    filters: Floats
    magnitudes: Floats
    sines: Floats


def plan_of(decoder: VoiceDecoder) -> SynthPlan:
    """Return the sizes of a decoder."""
    shape = decoder.shape
    return SynthPlan(
        rate=shape.rate,
        hop=shape.hop,
        grains=shape.grains,
        harmonics=shape.harmonics,
        points=shape.points,
        noise_points=shape.noise_points,
        filters=packed(decoder.noise.filters),
        noise=packed(decoder.noise.noise),
    )


def state_of(plan: SynthPlan) -> SynthState:
    """Return silence."""
    bands, taps = plan.filters.shape
    return SynthState(
        pitch=np.zeros(3),
        place=np.zeros(1, np.int64),
        strengths=zeros(2, plan.harmonics),
        filters=zeros(2, taps),
        magnitudes=zeros(1, bands),
        sines=zeros(4, plan.hop),
    )


@compiled
def _mel(hz: float) -> Any:
    """Return Slaney mels."""
    if hz < _LOG_FROM_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL + math.log(hz / _LOG_FROM_HZ) / _LOG_STEP


@compiled
def _read(envelope: Floats, first: int, points: int, hz: float, plan: SynthPlan, colour: Floats) -> Any:
    """Return the value at a frequency of the `points` of an envelope from `first` on, in the colour wanted."""
    last = points - 1
    place = min(max(_mel(hz * 2.0 ** -colour[0]) * last / _mel(plan.rate / 2.0), 0.0), float(last))
    below = min(int(place), last - 1)
    low, high = envelope[0, first + below], envelope[0, first + below + 1]
    logit = low + (high - low) * (place - below)
    value = _LOUDEST * (1.0 / (1.0 + math.exp(-logit))) ** _STEEP + _SOFTEST
    return value * math.exp(colour[2] * math.log2(max(hz, 1.0) / _TILT_HZ))


@compiled
def sound(plan: SynthPlan, state: SynthState, envelope: Floats, prosody: Floats, colour: Floats, said: Floats) -> None:
    """Write the next hop, `said` `(hop,)`, of an envelope `(1, E)`, the prosody at its end, and a colour."""
    loudness = math.exp(float(prosody[2])) - math.exp(_SILENCE) if prosody[2] > _SILENCE else 0.0
    for t in range(plan.hop):
        said[t] = _F(0)
    _add_tone(plan, state, envelope, prosody, colour, said)
    _add_noise(plan, state, envelope, colour, said)
    old = _F(state.pitch[2])
    for t in range(plan.hop):
        said[t] *= old + (_F(loudness) - old) * (_F(t + 1) / _F(plan.hop))
    state.pitch[2] = loudness


@compiled
def _add_tone(
    plan: SynthPlan, state: SynthState, envelope: Floats, prosody: Floats, colour: Floats, said: Floats
) -> None:
    """Add the harmonics, gliding from the last frame's pitch and strengths to this one's."""
    hz = _MIDDLE_HZ * 2.0 ** float(prosody[0]) if prosody[1] > _VOICED else 0.0
    before = state.pitch[0]
    start = before if before > 0 else hz
    end = hz if hz > 0 else start
    level = prosody[1] * math.sqrt(hz / _MIDDLE_HZ)
    for k in range(plan.harmonics):
        state.strengths[0, k] = state.strengths[1, k]
        state.strengths[1, k] = 0.0
        if hz > 0:
            state.strengths[1, k] = level * _read(envelope, 0, plan.points, hz * (k + 1), plan, colour)
    if start > 0:
        _turn(plan, state, start, end)
        for k in range(plan.harmonics):
            if min(start, end) * (k + 1) >= plan.rate / 2:
                break
            _add_harmonic(plan, state, k, _F(start), _F(end), said)
    state.pitch[0] = hz


@compiled
def _turn(plan: SynthPlan, state: SynthState, start: float, end: float) -> None:
    """Put sine and cosine of the first harmonic into the first rows of `sines`, and what stands still into the rest."""
    for t in range(plan.hop):
        ramp = (t + 1) / plan.hop
        cycles = state.pitch[1] + (start + (end - start) * ramp / 2) * ramp * plan.hop / plan.rate
        angle = 2 * math.pi * (cycles - math.floor(cycles))
        state.sines[0, t], state.sines[1, t] = math.sin(angle), math.cos(angle)
        state.sines[2, t], state.sines[3, t] = 0.0, 1.0
    phase = state.pitch[1] + (start + end) * plan.hop / 2 / plan.rate
    state.pitch[1] = phase - math.floor(phase)


@compiled
def _add_harmonic(plan: SynthPlan, state: SynthState, k: int, start: Any, end: Any, said: Floats) -> None:
    """Turn `sines` on to harmonic `k + 1` and add it, fading where it comes near half the sample rate."""
    sines, strengths = state.sines, state.strengths
    first, slope = strengths[0, k], strengths[1, k] - strengths[0, k]
    number, fade = _F(k + 1), _F(_FADE * plan.rate / 2)
    for t in range(plan.hop):
        ramp = _F(t + 1) / _F(plan.hop)
        sine = sines[2, t] * sines[1, t] + sines[3, t] * sines[0, t]
        cosine = sines[3, t] * sines[1, t] - sines[2, t] * sines[0, t]
        sines[2, t], sines[3, t] = sine, cosine
        audible = min(max(_F(1 / _FADE) - (start + (end - start) * ramp) * number / fade, _F(0)), _F(1))
        said[t] += sine * audible * (first + slope * ramp)


@compiled
def _add_noise(plan: SynthPlan, state: SynthState, envelope: Floats, colour: Floats, said: Floats) -> None:
    """Add noise, grain by grain, through a filter that glides from the last grain's to this one's."""
    bands, taps = plan.filters.shape
    grain = plan.hop // plan.grains
    loudness = math.exp(float(colour[1]))
    for g in range(plan.grains):
        first = plan.points + g * plan.noise_points
        for band in range(bands):
            hz = band * plan.rate / 2 / (bands - 1)
            state.magnitudes[0, band] = loudness * _read(envelope, first, plan.noise_points, hz, plan, colour)
        for tap in range(taps):
            state.filters[0, tap] = state.filters[1, tap]
            state.filters[1, tap] = _F(0)
        for band in range(bands):
            for tap in range(taps):
                state.filters[1, tap] += state.magnitudes[0, band] * plan.filters[band, tap]
        place = state.place[0]
        for t in range(grain):
            before, after = _F(0), _F(0)
            for tap in range(taps):
                noise = plan.noise[(place + t + tap) % len(plan.noise)]
                before += noise * state.filters[0, tap]
                after += noise * state.filters[1, tap]
            said[g * grain + t] += before + (after - before) * (_F(t + 1) / _F(grain))
        state.place[0] = (place + grain) % len(plan.noise)
