"""The kernel: how well a frame repeats after each lag, where that peaks, and which peak to believe.

The normalised cross-correlation of a frame with itself (Talkin 1995, RAPT) is 1 at the period and at its multiples;
pairs of samples lie around the frame's middle whatever their lag, so every pitch is that of one and the same moment.
Its peaks are the states of a hidden Markov model, as in pYIN (Mauch and Dixon 2014), but filtered forward rather
than searched for the best path: the probabilities of the peaks and of silence are known at once, and better with
every frame that is waited for. Everything is counted in hops from the first sample on, so blocks leave no trace.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.jit import jit

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
_MOST = 8
"""Peaks of a frame that are thought about."""
_LOUDEST, _LEAST = 8.0, 0.2


class Belief(NamedTuple):
    """What voices are like, as numbers of the Markov model; `docs/pitch.md` says how they were found.

    A peak's correlation `r` is `((1 + breath - doubt) / (1 + breath - r)) ** weight` times as likely in voice as in
    silence: what does not repeat counts, beyond the `breath` of any voice. `octave`: nats against an octave lower.
    `silence`: RMS that correlates by half at most, at the least and as a share of the loudest lately. `begins`, `ends`,
    `leaps`: how often a second voice begins and ends and a pitch goes anywhere. `drift`: octaves a second else.
    """

    weight: float
    doubt: float
    breath: float
    octave: float
    silence: float
    share: float
    begins: float
    ends: float
    leaps: float
    drift: float


BELIEF = Belief(
    weight=3.7,
    doubt=0.79,
    breath=0.06,
    octave=1.0,
    silence=1e-4,
    share=0.013,
    begins=8.0,
    ends=3.0,
    leaps=7.0,
    drift=5.0,
)


class TrackerPlan(NamedTuple):
    """The sizes: lags to search, `frame`, `hop` and least `window` in samples, frames to wait, and filters.

    `reach`: up to which lag a period must come again.
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
    """What is remembered: filtered sound, filters, and of the last frames the peaks and what was believed of them.

    `counts`: samples that wait for their hop, frames made. `levels`: loudness lately, the last pitch in Hz. Of frame
    `k`, row `k % (ahead + 1)` holds `pitch` (log2 Hz), `evidence` (likelihoods), `belief` (the filter's probabilities),
    each with silence last.
    """

    past: Floats
    filters: Doubles
    counts: NDArray[np.int64]
    levels: Doubles
    pitch: Doubles
    evidence: Doubles
    belief: Doubles
    likeness: Floats
    energy: Doubles
    later: Doubles


def state_of(plan: TrackerPlan, resting: float) -> TrackerState:
    """Return silence; `resting` is the pitch in Hz before there was any."""
    rows = plan.ahead + 1
    belief = np.zeros((rows, _MOST + 1))
    belief[:, _MOST] = 1.0
    return TrackerState(
        past=np.zeros(plan.frame + plan.hop, np.float32),
        filters=np.zeros((len(plan.sections), 2)),
        counts=np.zeros(2, np.int64),
        levels=np.array([0.0, resting]),
        pitch=np.zeros((rows, _MOST)),
        evidence=np.ones((rows, _MOST + 1)),
        belief=belief,
        likeness=np.zeros(plan.longest + 2, np.float32),
        energy=np.zeros(plan.frame + 1),
        later=np.zeros((2, _MOST + 1)),
    )


_jit = partial(jit, forceinline=False, reassociate=True)


@_jit
def follow(plan: TrackerPlan, belief: Belief, state: TrackerState, block: Floats, found: Floats) -> int:
    """Hear a block; write pitch in Hz and voicing of each frame that it completes, `(2, frames)`; return how many."""
    made = 0
    for i in range(len(block)):
        state.past[plan.frame + state.counts[0]] = _filtered(plan.sections, state.filters, block[i])
        state.counts[0] += 1
        if state.counts[0] == plan.hop:
            for at in range(plan.frame):
                state.past[at] = state.past[at + plan.hop]
            state.counts[0] = 0
            _correlate(plan, belief, state)
            _weigh(plan, belief, state)
            found[0, made], found[1, made] = _decide(plan, belief, state)
            state.counts[1] += 1
            made += 1
    return made


@_jit
def _filtered(sections: Doubles, filters: Doubles, x: float) -> float:
    """Filter a sample by second-order sections, transposed direct form II; what is no number is silence."""
    y = min(max(float(x), -_LOUDEST), _LOUDEST) if math.isfinite(x) else 0.0
    for s in range(len(sections)):
        x0 = y
        y = sections[s, 0] * x0 + filters[s, 0]
        filters[s, 0] = sections[s, 1] * x0 - sections[s, 4] * y + filters[s, 1]
        filters[s, 1] = sections[s, 2] * x0 - sections[s, 5] * y
    return y


@_jit
def _weigh(plan: TrackerPlan, belief: Belief, state: TrackerState) -> None:
    """Find the peaks of the frame that has just come, and weigh them by those before."""
    now, before = state.counts[1] % (plan.ahead + 1), (state.counts[1] - 1) % (plan.ahead + 1)
    pitch, evidence = state.pitch[now], state.evidence[now]
    previous = state.later[1]
    previous[:] = state.belief[before]
    old = state.later[0]
    old[:_MOST] = state.pitch[before]
    _peaks(plan, belief, state.likeness, pitch, evidence)
    total = 0.0
    for j in range(_MOST + 1):
        came = 0.0
        if evidence[j] > 0:
            for i in range(_MOST + 1):
                if previous[i] > 0:
                    came += previous[i] * _passage(plan, belief, old, i, pitch, j)
        state.belief[now, j] = came * evidence[j]
        total += state.belief[now, j]
    for j in range(_MOST + 1):
        state.belief[now, j] /= total


@_jit
def _correlate(plan: TrackerPlan, belief: Belief, state: TrackerState) -> None:
    """Write how well the frame repeats after each lag, -1 to 1, less where it is next to silent."""
    frame, energy = state.past, state.energy
    for i in range(plan.frame):
        energy[i + 1] = energy[i] + float(frame[i]) * float(frame[i])
    loudness = energy[plan.frame] / plan.frame
    fading = math.exp(-plan.hop / plan.rate)
    state.levels[0] = max(loudness, state.levels[0] * fading)
    quiet = max(belief.silence**2, belief.share**2 * state.levels[0])
    for lag in range(plan.shortest - 1, plan.longest + 2):
        window = min(plan.frame - lag, max(plan.window, 2 * lag))
        start = (plan.frame - lag - window) // 2
        together = np.float32(0.0)
        for i in range(start, start + window):
            together += frame[i] * frame[i + lag]
        first = energy[start + window] - energy[start]
        second = energy[start + lag + window] - energy[start + lag]
        state.likeness[lag] = together / (math.sqrt(max(first * second, 0.0)) + quiet * window)


@_jit
def _peaks(plan: TrackerPlan, belief: Belief, likeness: Floats, pitch: Doubles, evidence: Doubles) -> None:
    """Write the peaks most likely to be a pitch, and how much likelier each makes voice than silence."""
    evidence[:_MOST] = 0.0
    evidence[_MOST] = 1.0
    middle = math.log2(plan.shortest * plan.longest) / 2
    for lag in range(plan.shortest, plan.longest + 1):
        top = likeness[lag]
        if top <= _LEAST or top < likeness[lag - 1] or top <= likeness[lag + 1]:
            continue
        lags, height = _summit(likeness, lag)
        times = 1
        # Whatever rings repeats once; what is sung repeats again, and tells its period the better the later.
        while (times + 1) * lags < plan.reach:
            times += 1
            multiple, again = _summit(likeness, round(times * lags))
            lags, height = multiple / times, min(height, again)
        period = math.log2(lags)
        clear = math.log((1 + belief.breath - belief.doubt) / (1 + belief.breath - height))
        odds = math.exp(belief.weight * clear - belief.octave * (period - middle))
        least = 0
        for j in range(1, _MOST):
            if evidence[j] < evidence[least]:
                least = j
        if odds > evidence[least]:
            evidence[least] = odds
            pitch[least] = math.log2(plan.rate) - period


@_jit
def _summit(likeness: Floats, lag: int) -> tuple[float, float]:
    """Return where around a lag, and how high, the parabola through it and its neighbours is highest."""
    left, top, right = likeness[lag - 1], likeness[lag], likeness[lag + 1]
    curve = left - 2 * top + right
    if curve >= 0:
        return float(lag), float(top)
    shift = min(max(0.5 * (left - right) / curve, -1.0), 1.0)
    return lag + shift, min(top - 0.25 * (left - right) * shift, 1.0)


@_jit
def _passage(plan: TrackerPlan, belief: Belief, old: Doubles, i: int, pitch: Doubles, j: int) -> float:
    """Return how likely peak `i` of one frame becomes peak `j` of the next: a density per octave; silence is last."""
    time = plan.hop / plan.rate
    octaves = math.log2(plan.longest / plan.shortest)
    if i == _MOST:
        begins = belief.begins * time
        return 1 - begins if j == _MOST else begins / octaves
    ends = belief.ends * time
    if j == _MOST:
        return ends
    leaps, drift = belief.leaps * time, belief.drift * time
    near = math.exp(-abs(pitch[j] - old[i]) / drift) / (2 * drift)
    return (1 - ends) * ((1 - leaps) * near + leaps / octaves)


@_jit
def _decide(plan: TrackerPlan, belief: Belief, state: TrackerState) -> tuple[float, float]:
    """Return pitch and voicing of the frame `ahead` frames ago, given all frames since (forward-backward)."""
    rows = plan.ahead + 1
    now = state.counts[1]
    later, earlier = state.later[0], state.later[1]
    later[:] = 1.0
    for back in range(plan.ahead):
        after, at = (now - back) % rows, (now - back - 1) % rows
        highest = 0.0
        for i in range(_MOST + 1):
            earlier[i] = 0.0
            if state.belief[at, i] > 0:
                for j in range(_MOST + 1):
                    if state.evidence[after, j] > 0:
                        way = _passage(plan, belief, state.pitch[at], i, state.pitch[after], j)
                        earlier[i] += way * state.evidence[after, j] * later[j]
            highest = max(highest, earlier[i])
        for i in range(_MOST + 1):
            later[i] = earlier[i] / highest
    at = (now - plan.ahead) % rows
    best, voiced = 0, 0.0
    for j in range(_MOST):
        voiced += state.belief[at, j] * later[j]
        if state.belief[at, j] * later[j] > state.belief[at, best] * later[best]:
            best = j
    voiced /= voiced + state.belief[at, _MOST] * later[_MOST]
    if voiced >= 0.5:
        state.levels[1] = 2 ** state.pitch[at, best]
    return state.levels[1], voiced
