"""The pitch tracker's kernel: normalised cross-correlation, its peaks, and a hidden Markov model over them.

The normalised cross-correlation of a frame with itself (Talkin 1995, RAPT) is 1 at the period and at its multiples.
The pairs of samples lie around the middle of the frame whatever their lag, so all lags are measured at one moment.
Its peaks, and "unvoiced", are the states of a hidden Markov model, as in pYIN (Mauch and Dixon 2014). pYIN searches for
the best path (Viterbi), which needs the whole sound; here the forward algorithm gives the states' probabilities at
once, and a backward pass over a few frames of look-ahead sharpens them. Frames are counted in hops from the first
sample, so results do not depend on block sizes.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Doubles, Floats
from gramophone.realtime.kernels.bound import contents
from gramophone.realtime.kernels.jit import jit

_MAX_PEAKS = 8
"""Peaks of a frame that the model considers, the likeliest ones."""
_CLIP, _LEAST_CORRELATION = 8.0, 0.2
"""Samples are clipped to this amplitude; peaks below this correlation are not considered."""


class PitchModel(NamedTuple):
    """The parameters of the Markov model; `docs/pitch.md` says how they were found.

    A peak of correlation `r` is `((1 + aperiodicity - reference) / (1 + aperiodicity - r)) ** weight` times as likely
    in voiced as in unvoiced sound: what counts is the part that does not repeat, beyond any voice's `aperiodicity`.
    `octave_cost`: nats against an octave lower. `noise_floor`: the RMS at which a periodic frame correlates by a half
    only, absolute, and `relative_floor`: the same relative to the loudest frame lately. `onset_rate`, `offset_rate` and
    `jump_rate`: how often a second voice begins, ends, and changes to any other pitch. `drift_rate`: octaves a second
    by which pitch moves otherwise.
    """

    weight: float
    reference: float
    aperiodicity: float
    octave_cost: float
    noise_floor: float
    relative_floor: float
    onset_rate: float
    offset_rate: float
    jump_rate: float
    drift_rate: float


PITCH_MODEL = PitchModel(
    weight=3.7,
    reference=0.79,
    aperiodicity=0.06,
    octave_cost=1.0,
    noise_floor=1e-4,
    relative_floor=0.013,
    onset_rate=8.0,
    offset_rate=3.0,
    jump_rate=7.0,
    drift_rate=5.0,
)


class TrackerPlan(NamedTuple):
    """Sizes in samples: `shortest` and `longest` lag searched, `frame`, `hop`, least correlation `window`.

    `reach`: multiples of a period up to this lag must be peaks too. `ahead`: look-ahead in frames. `rate`: Hz.
    `sections` `(sections, 6)`: second-order sections of the band-pass filter, as scipy gives them.
    """

    shortest: int
    longest: int
    frame: int
    hop: int
    window: int
    reach: int
    ahead: int
    rate: float
    sections: Doubles


class TrackerState(NamedTuple):
    """State: `past` filtered samples, filter memories, and the peaks of the last `ahead + 1` frames.

    `counts`: samples waiting for their hop, frames done. `levels`: power of the loudest frame lately, last pitch in Hz.
    Row `k % (ahead + 1)` of `pitch` (log2 Hz), `likelihood` and `forward` (state probabilities given the past) belongs
    to frame `k`; the last state is "unvoiced". `correlation`, `energy` and `backward` are work space.
    """

    past: Floats
    filters: Doubles
    counts: NDArray[np.int64]
    levels: Doubles
    pitch: Doubles
    likelihood: Doubles
    forward: Doubles
    correlation: Floats
    energy: Doubles
    backward: Doubles


def state_of(plan: TrackerPlan, initial_hz: float) -> TrackerState:
    """Return the state of silence; `initial_hz` is the pitch reported before any was found."""
    rows = plan.ahead + 1
    forward = np.zeros((rows, _MAX_PEAKS + 1))
    forward[:, _MAX_PEAKS] = 1.0
    return TrackerState(
        past=np.zeros(plan.frame + plan.hop, np.float32),
        filters=np.zeros((len(plan.sections), 2)),
        counts=np.zeros(2, np.int64),
        levels=np.array([0.0, initial_hz]),
        pitch=np.zeros((rows, _MAX_PEAKS)),
        likelihood=np.ones((rows, _MAX_PEAKS + 1)),
        forward=forward,
        correlation=np.zeros(plan.longest + 2, np.float32),
        energy=np.zeros(plan.frame + 1),
        backward=np.zeros((2, _MAX_PEAKS + 1)),
    )


_jit = partial(jit, forceinline=False, reassociate=True)


@_jit
def track(bound: Any, block: Floats, found: Floats) -> int:
    """Analyse a block, `(samples,)`; write pitch in Hz and voicing of completed frames to `found`; return how many.

    Samples that are not finite count as 0. It is bound to a plan, a model and a state.
    """
    plan, model, state = contents(bound)
    made = 0
    for i in range(len(block)):
        x = min(max(float(block[i]), -_CLIP), _CLIP) if math.isfinite(block[i]) else 0.0
        state.past[plan.frame + state.counts[0]] = filtered(plan.sections, state.filters, x)
        state.counts[0] += 1
        if state.counts[0] == plan.hop:
            for at in range(plan.frame):
                state.past[at] = state.past[at + plan.hop]
            state.counts[0] = 0
            _correlate(plan, model, state)
            _forward(plan, model, state)
            found[0, made], found[1, made] = _smooth(plan, model, state)
            state.counts[1] += 1
            made += 1
    return made


def butterworth(order: int, hz: float, kind: Literal["lowpass", "highpass"], rate: float) -> Doubles:
    """Return a Butterworth filter (1930) for `filtered`: sections `(order / 2, 6)`, the first with the gain of all.

    `order` is even; `hz`, where power is halved, lies below half the `rate`. It is what `scipy.signal.butter` gives,
    which takes half a second to load. The analogue poles lie on the unit circle, in pairs at the angles
    `pi (2 k + 1) / 2 order` from the negative real axis; the bilinear transform with `K = tan(pi hz / rate)` takes the
    pair at an angle `a` to `z^2 + 2 (K^2 - 1) c z + (1 - 2 K cos a + K^2) c` with `c = 1 / (1 + 2 K cos a + K^2)`.
    """
    k = math.tan(math.pi * hz / rate)
    sign, power = (-1.0, 1.0) if kind == "highpass" else (1.0, k * k)
    sections = np.zeros((order // 2, 6))
    gain = 1.0
    for pair in range(order // 2):
        cosine = math.cos(math.pi * (order - 1 - 2 * pair) / (2 * order))
        scale = 1 / (1 + 2 * cosine * k + k * k)
        gain *= power * scale
        poles = 1.0, 2 * (k * k - 1) * scale, (1 - 2 * cosine * k + k * k) * scale
        # those that ring longest come last: by then the sound is filtered
        sections[order // 2 - 1 - pair] = 1.0, 2 * sign, 1.0, *poles
    sections[0, :3] *= gain
    return sections


@_jit
def filtered(sections: Doubles, filters: Doubles, x: float) -> float:
    """Filter a sample by second-order sections `(S, 6)` with memories `(S, 2)`, transposed direct form II."""
    y = x
    for s in range(len(sections)):
        x0 = y
        y = sections[s, 0] * x0 + filters[s, 0]
        filters[s, 0] = sections[s, 1] * x0 - sections[s, 4] * y + filters[s, 1]
        filters[s, 1] = sections[s, 2] * x0 - sections[s, 5] * y
    return y


@_jit
def _forward(plan: TrackerPlan, model: PitchModel, state: TrackerState) -> None:
    """Find the newest frame's peaks and compute their probabilities given the past (forward algorithm)."""
    now, before = state.counts[1] % (plan.ahead + 1), (state.counts[1] - 1) % (plan.ahead + 1)
    pitch, likelihood = state.pitch[now], state.likelihood[now]
    old, previous = state.backward
    # element by element, as numba takes 2 s to compile an assignment of arrays
    for i in range(_MAX_PEAKS):
        old[i] = state.pitch[before, i]
    for i in range(_MAX_PEAKS + 1):
        previous[i] = state.forward[before, i]
    _find_peaks(plan, model, state.correlation, pitch, likelihood)
    total = 0.0
    for j in range(_MAX_PEAKS + 1):
        came = 0.0
        if likelihood[j] > 0:
            for i in range(_MAX_PEAKS + 1):
                if previous[i] > 0:
                    came += previous[i] * _transition(plan, model, old, i, pitch, j)
        state.forward[now, j] = came * likelihood[j]
        total += state.forward[now, j]
    for j in range(_MAX_PEAKS + 1):
        state.forward[now, j] /= total


@_jit
def _correlate(plan: TrackerPlan, model: PitchModel, state: TrackerState) -> None:
    """Write the normalised cross-correlation of the frame at each lag, -1 to 1; near silence it tends to 0."""
    frame, energy = state.past, state.energy
    for i in range(plan.frame):
        energy[i + 1] = energy[i] + float(frame[i]) * float(frame[i])
    loudness = energy[plan.frame] / plan.frame
    fading = math.exp(-plan.hop / plan.rate)
    state.levels[0] = max(loudness, state.levels[0] * fading)
    quiet = max(model.noise_floor**2, model.relative_floor**2 * state.levels[0])
    for lag in range(plan.shortest - 1, plan.longest + 2):
        window = min(plan.frame - lag, max(plan.window, 2 * lag))
        start = (plan.frame - lag - window) // 2
        together = np.float32(0.0)
        # Slices, whose indices the compiler knows to be within: ten times as quick.
        earlier, later = frame[start : start + window], frame[start + lag : start + lag + window]
        for i in range(window):
            together += earlier[i] * later[i]
        first = energy[start + window] - energy[start]
        second = energy[start + lag + window] - energy[start + lag]
        state.correlation[lag] = together / (math.sqrt(max(first * second, 0.0)) + quiet * window)


@_jit
def _find_peaks(plan: TrackerPlan, model: PitchModel, correlation: Floats, pitch: Doubles, likelihood: Doubles) -> None:
    """Write the likeliest peaks, in log2 Hz, and for each how much likelier voiced sound is than unvoiced."""
    likelihood[:_MAX_PEAKS] = 0.0
    likelihood[_MAX_PEAKS] = 1.0
    middle = math.log2(plan.shortest * plan.longest) / 2
    for lag in range(plan.shortest, plan.longest + 1):
        top = correlation[lag]
        if top <= _LEAST_CORRELATION or top < correlation[lag - 1] or top <= correlation[lag + 1]:
            continue
        lags, height = _parabolic_peak(correlation, lag)
        times = 1
        # A resonance repeats once; a voice repeats again, and later repetitions measure the period more exactly.
        while (times + 1) * lags < plan.reach:
            times += 1
            multiple, again = _parabolic_peak(correlation, round(times * lags))
            lags, height = multiple / times, min(height, again)
        period = math.log2(lags)
        clear = math.log((1 + model.aperiodicity - model.reference) / (1 + model.aperiodicity - height))
        odds = math.exp(model.weight * clear - model.octave_cost * (period - middle))
        least = 0
        for j in range(1, _MAX_PEAKS):
            if likelihood[j] < likelihood[least]:
                least = j
        if odds > likelihood[least]:
            likelihood[least] = odds
            pitch[least] = math.log2(plan.rate) - period


@_jit
def _parabolic_peak(correlation: Floats, lag: int) -> tuple[float, float]:
    """Return the lag and height of the vertex of the parabola through `lag` and its neighbours."""
    left, top, right = correlation[lag - 1], correlation[lag], correlation[lag + 1]
    curve = left - 2 * top + right
    if curve >= 0:
        return float(lag), float(top)
    shift = min(max(0.5 * (left - right) / curve, -1.0), 1.0)
    return lag + shift, min(top - 0.25 * (left - right) * shift, 1.0)


@_jit
def _transition(plan: TrackerPlan, model: PitchModel, old: Doubles, i: int, pitch: Doubles, j: int) -> float:
    """Return the transition density, per octave, from peak `i` to the next frame's `j`; the last state is unvoiced."""
    time = plan.hop / plan.rate
    octaves = math.log2(plan.longest / plan.shortest)
    if i == _MAX_PEAKS:
        onset_rate = model.onset_rate * time
        return 1 - onset_rate if j == _MAX_PEAKS else onset_rate / octaves
    offset_rate = model.offset_rate * time
    if j == _MAX_PEAKS:
        return offset_rate
    jump_rate, drift_rate = model.jump_rate * time, model.drift_rate * time
    near = math.exp(-abs(pitch[j] - old[i]) / drift_rate) / (2 * drift_rate)
    return (1 - offset_rate) * ((1 - jump_rate) * near + jump_rate / octaves)


@_jit
def _smooth(plan: TrackerPlan, model: PitchModel, state: TrackerState) -> tuple[float, float]:
    """Return pitch in Hz and voicing of the frame `ahead` frames ago, given all frames since (forward-backward)."""
    rows = plan.ahead + 1
    now = state.counts[1]
    backward, earlier = state.backward[0], state.backward[1]
    backward[:] = 1.0
    for back in range(plan.ahead):
        after, at = (now - back) % rows, (now - back - 1) % rows
        highest = 0.0
        for i in range(_MAX_PEAKS + 1):
            earlier[i] = 0.0
            if state.forward[at, i] > 0:
                for j in range(_MAX_PEAKS + 1):
                    if state.likelihood[after, j] > 0:
                        probability = _transition(plan, model, state.pitch[at], i, state.pitch[after], j)
                        earlier[i] += probability * state.likelihood[after, j] * backward[j]
            highest = max(highest, earlier[i])
        for i in range(_MAX_PEAKS + 1):
            backward[i] = earlier[i] / highest
    at = (now - plan.ahead) % rows
    best, voiced = 0, 0.0
    for j in range(_MAX_PEAKS):
        voiced += state.forward[at, j] * backward[j]
        if state.forward[at, j] * backward[j] > state.forward[at, best] * backward[best]:
            best = j
    voiced /= voiced + state.forward[at, _MAX_PEAKS] * backward[_MAX_PEAKS]
    if voiced >= 0.5:
        state.levels[1] = 2 ** state.pitch[at, best]
    return state.levels[1], voiced
