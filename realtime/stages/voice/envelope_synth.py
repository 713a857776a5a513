"""Sound from an envelope, a pitch and a loudness, hop by hop: `models.nets.envelope_decoder` by a numba kernel.

It differs from that network in what a player turns: voicing may lie between noise and tone, and formants, breath and
brightness can be moved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, packed
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stages.latent.voice_layers import compiled
from gramophone.realtime.stages.latent.voice_synth import (
    SynthPlan,
    SynthState,
    add_filtered_noise,
    add_harmonics,
    initial_state_of,
    mel,
)

_F = np.float32
HARMONICS, NOISE_BANDS = 120, 65
_KNEE_HZ, _QUIETEST_BREATH_DB, _TILT_HZ = 3000.0, -60.0, 1000.0
_AUDIBLE = 0.02
"""Voicing below which there is no tone."""


class EnvelopeSynth:
    """Envelopes `(points + 1,)` to hops of sound `(hop,)`: a frame is reached at the end of its hop."""

    def __init__(self, plan: SynthPlan) -> None:
        self._hop = plan.hop
        self._envelope, self._colour = np.zeros((1, plan.points + 1), np.float32), np.zeros(3, np.float32)
        parts = plan, initial_state_of(plan), self._envelope, self._colour
        self._synthesise = bind(_synthesise, parts, 0.0, 0.0, 0.0, self._colour)

    def synthesise(self, envelope: Floats, hz: float, voicing: float, rms: float, colour: Floats) -> Floats:
        """Return the next hop of sound.

        The points are natural logarithms of power per Hz, up to any factor; the last number is the share of noise in
        the amplitude at 3 kHz in dB. `voicing` 0 to 1; `rms` of the frame. `colour` `(3,)`: the formants' shift in
        octaves, the noise's gain and the tilt per octave, both in nats.
        """
        self._envelope[0], self._colour[:] = envelope, colour
        output = np.empty(self._hop, np.float32)
        self._synthesise(hz, voicing, rms, output)
        return output


def plan_of(rate: int, hop: int, points: int) -> SynthPlan:
    """Return the constants for hops of sound at `rate` Hz by envelopes of so many points."""
    import torch

    from gramophone.models.layers.harmonics import HarmonicBank
    from gramophone.models.layers.noise import NoiseBank

    noise = NoiseBank(hop, NOISE_BANDS)
    harmonics = HarmonicBank(rate, hop, HARMONICS)
    return SynthPlan(
        rate=rate,
        hop=hop,
        grains=1,
        harmonics=len(harmonics.numbers),
        points=points,
        noise_points=points,
        filters=packed(noise.filters),
        noise=packed(noise.noise[torch.arange(len(noise.noise))]),
    )


@compiled
def _synthesise(bound: Any, hz: float, voicing: float, rms: float, output: Floats) -> None:
    """Write the next hop to `output`, `(hop,)`."""
    plan, state, envelope, colour = contents(bound)
    bands = plan.filters.shape[0]
    power = 0.0
    for band in range(bands):
        power += _amplitude(plan, envelope, band * plan.rate / 2.0 / (bands - 1), colour) ** 2
    level = rms / math.sqrt(max(power / bands * plan.rate / 2.0, 1e-20))
    tone = voicing if hz > 0 and voicing > _AUDIBLE else 0.0
    for t in range(plan.hop):
        output[t] = _F(0)
    _add_tone(plan, state, envelope, hz if tone > 0 else 0.0, tone, level, colour, output)
    _add_noise(plan, state, envelope, tone, level, colour, output)


@compiled
def _amplitude(plan: SynthPlan, envelope: Floats, hz: float, colour: Floats) -> Any:
    """Return the square root of the power per Hz at a frequency, with the colour's shift and tilt."""
    last = plan.points - 1
    place = min(max(mel(hz * 2.0 ** -colour[0]) * last / mel(plan.rate / 2.0), 0.0), float(last))
    below = min(int(place), last - 1)
    low, high = envelope[0, below], envelope[0, below + 1]
    tilt = colour[2] * math.log2(max(hz, 100.0) / _TILT_HZ)
    return math.exp((low + (high - low) * (place - below)) / 2 + tilt)


@compiled
def _noisiness(plan: SynthPlan, breath: float, hz: float) -> Any:
    """Return the share of noise in the amplitude at a frequency: -60 dB at 0 Hz, `breath` at 3 kHz, 0 dB at the top."""
    if hz < _KNEE_HZ:
        decibels = _QUIETEST_BREATH_DB + (breath - _QUIETEST_BREATH_DB) * hz / _KNEE_HZ
    else:
        decibels = breath * max(1 - (hz - _KNEE_HZ) / (plan.rate / 2.0 - _KNEE_HZ), 0.0)
    return 10.0 ** (min(max(decibels, _QUIETEST_BREATH_DB), 0.0) / 20)


@compiled
def _add_tone(
    plan: SynthPlan,
    state: SynthState,
    envelope: Floats,
    hz: float,
    voicing: float,
    level: float,
    colour: Floats,
    output: Floats,
) -> None:
    """Add the harmonics, gliding from the last frame's pitch and amplitudes to this one's."""
    before = state.pitch[0]
    start = before if before > 0 else hz
    end = hz if hz > 0 else start
    breath = envelope[0, plan.points]
    for k in range(plan.harmonics):
        state.amplitudes[0, k] = state.amplitudes[1, k]
        state.amplitudes[1, k] = 0.0
        partial = hz * (k + 1)
        if 0 < partial < plan.rate / 2:
            tonal = math.sqrt(max(1 - _noisiness(plan, breath, partial) ** 2, 0.0) * voicing)
            state.amplitudes[1, k] = math.sqrt(2 * hz) * level * tonal * _amplitude(plan, envelope, partial, colour)
    add_harmonics(plan, state, start, end, output)
    state.pitch[0] = hz


@compiled
def _add_noise(
    plan: SynthPlan, state: SynthState, envelope: Floats, voicing: float, level: float, colour: Floats, output: Floats
) -> None:
    """Add noise through a filter that glides from the last frame's to this one's."""
    bands, taps = plan.filters.shape
    breath = envelope[0, plan.points]
    scale = level * math.sqrt(plan.rate / 2.0) * math.exp(float(colour[1]))
    for tap in range(taps):
        state.filters[0, tap] = state.filters[1, tap]
        state.filters[1, tap] = _F(0)
    for band in range(bands):
        hz = band * plan.rate / 2.0 / (bands - 1)
        noisy = math.sqrt(1 - voicing * (1 - _noisiness(plan, breath, hz) ** 2))
        magnitude = _F(scale * noisy * _amplitude(plan, envelope, hz, colour))
        for tap in range(taps):
            state.filters[1, tap] += magnitude * plan.filters[band, tap]
    add_filtered_noise(plan, state, output)
