"""The synthesis of a voice model on one core, frame by frame: harmonics and noise from envelopes, by numba kernels.

The same as `VoiceDecoder` computes in torch. Each harmonic is obtained from the one below by rotating its phasor, for
all samples of the hop at once, instead of by evaluating sines.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.stages.latent.voice_layers import compiled

if TYPE_CHECKING:
    from gramophone.models.nets.voice import VoiceDecoder

_F = np.float32
_MIDDLE_HZ, _VOICED, _TILT_HZ, _SILENCE = 160.0, 0.05, 1000.0, -11.5
_LOUDEST, _STEEP, _SOFTEST = 2.0, 2.3026, 1e-7
_FADE = 0.05
_LINEAR_HZ_PER_MEL, _LOG_FROM_HZ, _LOG_STEP = 200 / 3, 1000.0, math.log(6.4) / 27
"""As in `models/`, repeated here because numba's cache does not notice when a constant elsewhere changes."""


class SynthPlan(NamedTuple):
    """Sizes and constants.

    `rate` in Hz; `hop` in samples, of `grains` noise grains; the number of `harmonics`; `points` of the tone's envelope
    and `noise_points` of the noise's. `filters` `(bands, taps)` turn magnitudes into a filter; `noise` `(samples,)` is
    looped.
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
    """State and work space.

    `pitch` `(3,)`: Hz, phase in cycles, gain; `noise_position` `(1,)`: samples of noise used; `amplitudes` `(2, K)` of
    the harmonics and `filters` `(2, taps)`: of the frame before and this one; `sines` `(4, hop)`: sine and cosine of
    the first harmonic and of the current one. `work` `(3, hop + taps)`: noise as it is, and through both filters.
    """

    pitch: NDArray[np.float64]
    noise_position: NDArray[np.int64]
    amplitudes: Floats
    filters: Floats
    magnitudes: Floats
    sines: Floats
    work: Floats


def plan_of(decoder: VoiceDecoder) -> SynthPlan:
    """Return the sizes and constants of a decoder."""
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


def initial_state_of(plan: SynthPlan) -> SynthState:
    """Return the state of silence."""
    bands, taps = plan.filters.shape
    return SynthState(
        pitch=np.zeros(3),
        noise_position=np.zeros(1, np.int64),
        amplitudes=zeros(2, plan.harmonics),
        filters=zeros(2, taps),
        magnitudes=zeros(1, bands),
        sines=zeros(4, plan.hop),
        work=zeros(3, plan.hop + taps),
    )


@compiled
def mel(hz: float) -> Any:
    """Return a frequency in Hz on the Slaney mel scale."""
    if hz < _LOG_FROM_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL + math.log(hz / _LOG_FROM_HZ) / _LOG_STEP


@compiled
def _envelope_at(envelope: Floats, first: int, points: int, hz: float, plan: SynthPlan, colour: Floats) -> Any:
    """Return an envelope of `points` values from `first` on at `hz`, with the colour's formant shift and tilt."""
    last = points - 1
    place = min(max(mel(hz * 2.0 ** -colour[0]) * last / mel(plan.rate / 2.0), 0.0), float(last))
    below = min(int(place), last - 1)
    low, high = envelope[0, first + below], envelope[0, first + below + 1]
    logit = low + (high - low) * (place - below)
    value = _LOUDEST * (1.0 / (1.0 + math.exp(-logit))) ** _STEEP + _SOFTEST
    return value * math.exp(colour[2] * math.log2(max(hz, 1.0) / _TILT_HZ))


@compiled
def synthesise(
    plan: SynthPlan, state: SynthState, envelope: Floats, prosody: Floats, colour: Floats, output: Floats
) -> None:
    """Write the next hop to `output`, `(hop,)`.

    `envelope` `(1, E)`; `prosody` `(3,)`, at the end of the hop: octaves above 160 Hz, voicing, loudness in nats;
    `colour` `(3,)`: formant shift in octaves, noise gain in nats, tilt in nats an octave.
    """
    loudness = math.exp(float(prosody[2])) - math.exp(_SILENCE) if prosody[2] > _SILENCE else 0.0
    for t in range(plan.hop):
        output[t] = _F(0)
    _add_tone(plan, state, envelope, prosody, colour, output)
    _add_noise(plan, state, envelope, colour, output)
    old = _F(state.pitch[2])
    for t in range(plan.hop):
        output[t] *= old + (_F(loudness) - old) * (_F(t + 1) / _F(plan.hop))
    state.pitch[2] = loudness


@compiled
def _add_tone(
    plan: SynthPlan, state: SynthState, envelope: Floats, prosody: Floats, colour: Floats, output: Floats
) -> None:
    """Add the harmonics, gliding from the last frame's pitch and amplitudes to this one's."""
    hz = _MIDDLE_HZ * 2.0 ** float(prosody[0]) if prosody[1] > _VOICED else 0.0
    before = state.pitch[0]
    start = before if before > 0 else hz
    end = hz if hz > 0 else start
    level = prosody[1] * math.sqrt(hz / _MIDDLE_HZ)
    for k in range(plan.harmonics):
        state.amplitudes[0, k] = state.amplitudes[1, k]
        state.amplitudes[1, k] = 0.0
        if hz > 0:
            state.amplitudes[1, k] = level * _envelope_at(envelope, 0, plan.points, hz * (k + 1), plan, colour)
    add_harmonics(plan, state, start, end, output)
    state.pitch[0] = hz


@compiled
def add_harmonics(plan: SynthPlan, state: SynthState, start: float, end: float, output: Floats) -> None:
    """Add the harmonics of a pitch that glides from `start` to `end` Hz, with the amplitudes in `state`; 0 Hz: none."""
    if start <= 0:
        return
    _rotate(plan, state, start, end)
    for k in range(plan.harmonics):
        if min(start, end) * (k + 1) >= plan.rate / 2:
            break
        _add_harmonic(plan, state, k, _F(start), _F(end), output)


@compiled
def _rotate(plan: SynthPlan, state: SynthState, start: float, end: float) -> None:
    """Write the phasor of the first harmonic to rows 0 and 1 of `sines`, and the phasor of 0 Hz to rows 2 and 3."""
    for t in range(plan.hop):
        ramp = (t + 1) / plan.hop
        cycles = state.pitch[1] + (start + (end - start) * ramp / 2) * ramp * plan.hop / plan.rate
        angle = 2 * math.pi * (cycles - math.floor(cycles))
        state.sines[0, t], state.sines[1, t] = math.sin(angle), math.cos(angle)
        state.sines[2, t], state.sines[3, t] = 0.0, 1.0
    phase = state.pitch[1] + (start + end) * plan.hop / 2 / plan.rate
    state.pitch[1] = phase - math.floor(phase)


@compiled
def _add_harmonic(plan: SynthPlan, state: SynthState, k: int, start: Any, end: Any, output: Floats) -> None:
    """Rotate `sines` on to harmonic `k + 1` and add it; it fades out near half the sample rate."""
    sines, amplitudes = state.sines, state.amplitudes
    first, slope = amplitudes[0, k], amplitudes[1, k] - amplitudes[0, k]
    number, fade = _F(k + 1), _F(_FADE * plan.rate / 2)
    for t in range(plan.hop):
        ramp = _F(t + 1) / _F(plan.hop)
        sine = sines[2, t] * sines[1, t] + sines[3, t] * sines[0, t]
        cosine = sines[3, t] * sines[1, t] - sines[2, t] * sines[0, t]
        sines[2, t], sines[3, t] = sine, cosine
        gain = min(max(_F(1 / _FADE) - (start + (end - start) * ramp) * number / fade, _F(0)), _F(1))
        output[t] += sine * gain * (first + slope * ramp)


@compiled
def _add_noise(plan: SynthPlan, state: SynthState, envelope: Floats, colour: Floats, output: Floats) -> None:
    """Add noise, grain by grain, through a filter that glides from the last grain's to this one's."""
    bands, taps = plan.filters.shape
    grain = plan.hop // plan.grains
    loudness = math.exp(float(colour[1]))
    for g in range(plan.grains):
        first = plan.points + g * plan.noise_points
        for band in range(bands):
            hz = band * plan.rate / 2 / (bands - 1)
            state.magnitudes[0, band] = loudness * _envelope_at(envelope, first, plan.noise_points, hz, plan, colour)
        for tap in range(taps):
            state.filters[0, tap] = state.filters[1, tap]
            state.filters[1, tap] = _F(0)
        for band in range(bands):
            for tap in range(taps):
                state.filters[1, tap] += state.magnitudes[0, band] * plan.filters[band, tap]
        add_filtered_noise(plan, state, output[g * grain : (g + 1) * grain])


@compiled
def add_filtered_noise(plan: SynthPlan, state: SynthState, output: Floats) -> None:
    """Add the next noise, through the filters in `state`: the first fades over to the second.

    Each sample adds its taps in order, for all samples at once.
    """
    position, samples, taps = state.noise_position[0], len(output), state.filters.shape[1]
    noise, before, after = state.work[0], state.work[1, :samples], state.work[2, :samples]
    for i in range(samples + taps - 1):
        noise[i] = plan.noise[(position + i) % len(plan.noise)]
    for t in range(samples):
        before[t], after[t] = _F(0), _F(0)
    for tap in range(taps):
        first, second = state.filters[0, tap], state.filters[1, tap]
        shifted = noise[tap : tap + samples]
        for t in range(samples):
            before[t] += shifted[t] * first
            after[t] += shifted[t] * second
    for t in range(samples):
        output[t] += before[t] + (after[t] - before[t]) * (_F(t + 1) / _F(samples))
    state.noise_position[0] = (position + samples) % len(plan.noise)
