"""What a voice model hears: the input without offset and rumble, and lowered where it is hum or the noise of a room.

A high-pass of fourth order, then a downward expander. The expander's threshold lies above a tracked noise floor: the
lowest level of recent windows that are steady and not voiced. Sung and played notes are as steady as noise, so how
a window repeats decides (normalised autocorrelation, Talkin 1995): noise does not, mains hum does at its own period
and just as well after 0.1 s, which is a multiple of the period at 50 and at 60 Hz, and what else repeats is a voice.
Long fricatives are steady and not voiced too, but noise of the room never stops, and they do: the floor is never far
above the softest moment of the last seconds (minimum statistics, Martin 2001).

Levels are of the high-passed signal with the lows further attenuated, as speech differs from hum by what lies above.
All steps are counted in samples, so the result does not depend on block sizes; nothing is delayed.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.dsp.pitch.kernel import butterworth, filtered
from gramophone.realtime.dsp.smoothing import Amount
from gramophone.realtime.kernels.arrays import Doubles, Floats, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages import mono_sum

_LOWEST_HZ = 65.0
"""Corner of the high-pass: an octave of the lowest note of a bass is lost, 50 Hz is lowered by 9 dB."""
_EMPHASIS_HZ = 300.0
_ANALYSED_RATE, _ANALYSED_HZ = 4_000, 1_200.0
_ATTACK_S, _RELEASE_S = 0.005, 0.04
_CLOSING_S, _HOLD_S = 0.06, 0.12
_GRID, _SLOT_S = 4, 0.02
"""The gain moves once in so many analysed samples; levels are compared between slots."""
_SLOTS = 5
"""Slots of a window, of 0.1 s; three windows are searched for repetition."""
_REMEMBERED, _AT_START = 15, 4
"""Steady windows among which the lowest is the floor; of them, how many must pass before there is a floor at all."""
_SILENT_DB, _LOUDEST_FLOOR_DB = -68.0, -35.0
_MARGIN_DB, _SURELY_DB, _SLOPE = 6.0, 3.0, 5.0
"""The threshold above the floor, what is surely a voice above the threshold, and dB of gain per dB below it."""
_FULLY_DB = 6.0
"""The depth from which on only the high-passed signal is returned; below it, part of the input."""
_STEADY_DB = 6.0
_RECENT = 20
"""Windows whose softest slot bounds the floor: 2 s, in which hardly any speech goes without a pause or a closure."""
_ABOVE_SOFTEST_DB = 6.5
"""By how much the level of steady noise exceeds its softest slot: 3.8 dB as it rises faster than it falls, and the
spread of 100 slots of one noise (0.4 dB for white noise, 2.6 for brown)."""
_VOICED, _AS_WELL = 0.45, 0.95
_PITCH_HZ = (70.0, 800.0)
_MAINS_S = (1 / 50, 1 / 60, 0.1)
"""The periods of mains hum, and the shortest time that is a multiple of both."""
_MAINS_LAGS = len(_MAINS_S)


class ConditionerPlan(NamedTuple):
    """Constants: high-pass `sections` `(2, 6)`; shares per sample of the one-pole filters; lengths in samples.

    `decimation` input samples are one analysed sample. `slot` and `hold` are in steps of the gain, `closing` is a share
    per step; `window` is in analysed samples, as are the `lags` at which repetition is measured: all from a voice's
    shortest period to its longest, one more at either end, then those on either side of each mains lag.
    """

    sections: Doubles
    emphasis: float
    lowpass: float
    attack: float
    release: float
    closing: float
    decimation: int
    slot: int
    hold: int
    window: int
    lags: NDArray[np.int64]


class ConditionerState(NamedTuple):
    """State: filter memories, running power, levels and gains.

    `one_poles`: emphasis, low-pass (twice) and power. `gains`: in dB as the step before set it, and linear at the start
    and end of this step. `counts`: input samples of an analysed one, analysed samples of a step, steps of a slot, slots
    of a window, steps to hold, remembered windows, windows. `slots`: mean levels in dB; the last entry is the sum of
    the slot that runs. `powers`: of this slot, summed, and of the softest slot of this window. `floor`: in dB.
    `remembered`: levels of steady windows. `softest`: the softest slot of each recent window in dB. `past`: the
    analysed samples of three windows. `repetition`: work space, an entry for each lag.
    """

    filters: Doubles
    one_poles: Doubles
    gains: Doubles
    counts: NDArray[np.int64]
    slots: Doubles
    powers: Doubles
    floor: Doubles
    remembered: Doubles
    softest: Doubles
    past: Floats
    repetition: Doubles


class VoiceConditioner:
    """Sums channels at `rate` Hz, 8,000 or more, and conditions them for a voice model, without delay."""

    def __init__(self, rate: int) -> None:
        plan = _plan_of(rate)
        self._state = _initial_state(plan)
        self._depth = np.zeros(0, np.float32)
        self._known: tuple[int, float | None] = 0, None
        parts = mono_sum.initial_state_of(rate), plan, self._state
        self._condition = bind(_condition, parts, self._depth[None], self._depth, self._depth)

    def process(self, block: Audio, depth_db: Amount) -> Floats:
        """Return the conditioned mono sum `(frames,)` of a block `(channels, frames)`.

        `depth_db`, a number or `(frames,)`, is by how much what is no voice is lowered at most; at 0 the sum passes
        unchanged, without the high-pass either.
        """
        frames = block.shape[1]
        known = frames, None if isinstance(depth_db, np.ndarray) else float(depth_db)
        if known != self._known or known[1] is None:
            self._known = known
            self._depth = np.empty(frames, np.float32)  # kept, as it hardly ever changes
            self._depth[:] = depth_db
        conditioned = np.empty(frames, np.float32)
        self._condition(np.ascontiguousarray(block, np.float32), self._depth, conditioned)
        return conditioned

    @property
    def gain_db(self) -> float:
        """The gain of the expander now, in dB, 0 or less."""
        return float(self._state.gains[0])

    @property
    def floor_db(self) -> float:
        """The tracked noise floor in dB below full scale."""
        return float(self._state.floor[0])


def _plan_of(rate: int) -> ConditionerPlan:
    decimation = max(rate // _ANALYSED_RATE, 1)
    analysed = rate / decimation
    step_s = _GRID / analysed
    slot = round(_SLOT_S / step_s)
    voice = np.arange(math.floor(analysed / _PITCH_HZ[1]) - 1, math.ceil(analysed / _PITCH_HZ[0]) + 2)
    mains = np.floor(analysed * np.array(_MAINS_S))
    return ConditionerPlan(
        sections=butterworth(4, _LOWEST_HZ, "highpass", rate),
        emphasis=_share(1 / (2 * math.pi * _EMPHASIS_HZ), 1 / rate),
        lowpass=_share(1 / (2 * math.pi * _ANALYSED_HZ), 1 / rate),
        attack=_share(_ATTACK_S, 1 / rate),
        release=_share(_RELEASE_S, 1 / rate),
        closing=_share(_CLOSING_S, step_s),
        decimation=decimation,
        slot=slot,
        hold=round(_HOLD_S / step_s),
        window=_SLOTS * slot * _GRID,
        lags=np.concatenate((voice, np.stack((mains, mains + 1), 1).ravel())).astype(np.int64),
    )


def _share(time_s: float, step_s: float) -> float:
    """Return the share of the newest value in a one-pole filter with a time constant."""
    return 1 - math.exp(-step_s / time_s)


def _initial_state(plan: ConditionerPlan) -> ConditionerState:
    remembered = np.full(_REMEMBERED, math.inf)
    remembered[:_AT_START] = _SILENT_DB
    return ConditionerState(
        filters=np.zeros((2, 2)),
        one_poles=np.zeros(4),
        gains=np.array([0.0, 1.0, 1.0]),
        counts=np.zeros(7, np.int64),
        slots=np.zeros(_SLOTS + 1),
        powers=np.array([0.0, math.inf]),
        floor=np.array([_SILENT_DB]),
        remembered=remembered,
        softest=np.full(_RECENT, math.inf),
        past=zeros(3 * plan.window),
        repetition=np.zeros(len(plan.lags)),
    )


_compiled = partial(jit, forceinline=False)


@_compiled
def _condition(bound: Any, block: Floats, depth: Floats, sound: Floats) -> None:
    """Write the conditioned sum of a block, `(channels, frames)`; the depth in dB is `(frames,)` as the sum is."""
    sum_state, plan, state = contents(bound)
    mono_sum.sum_channels(sum_state, block, sound)
    counts, gains, poles = state.counts, state.gains, state.one_poles
    step = _GRID * plan.decimation
    for i in range(len(sound)):
        y = filtered(plan.sections, state.filters, float(sound[i]))
        done = counts[1] * plan.decimation + counts[0] + 1
        share = min(depth[i] / _FULLY_DB, 1.0)
        sound[i] += share * (y * (gains[1] + (gains[2] - gains[1]) * done / step) - sound[i])
        poles[0] += plan.emphasis * (y - poles[0])
        power = (y - poles[0]) ** 2
        poles[3] += (plan.attack if power > poles[3] else plan.release) * (power - poles[3])
        state.powers[0] += power
        poles[1] += plan.lowpass * (y - poles[1])
        poles[2] += plan.lowpass * (poles[1] - poles[2])
        counts[0] += 1
        if counts[0] == plan.decimation:
            counts[0] = 0
            at = (counts[3] * plan.slot + counts[2]) * _GRID + counts[1]
            state.past[2 * plan.window + at] = poles[2]
            counts[1] += 1
            if counts[1] == _GRID:
                counts[1] = 0
                _move_gain(plan, state, depth[i])


@_compiled
def _move_gain(plan: ConditionerPlan, state: ConditionerState, depth_db: float) -> None:
    """Set the gain that the next step moves to: at once upwards, slowly downwards."""
    gains, counts = state.gains, state.counts
    level = 10 * math.log10(state.one_poles[3] + 1e-12)
    above = level - state.floor[0] - _MARGIN_DB
    if above > _SURELY_DB:
        counts[4] = plan.hold
    elif counts[4] > 0:
        counts[4] -= 1
    target = 0.0 if above > 0 or counts[4] > 0 else max(-depth_db, _SLOPE * above)
    gains[0] = target if target > gains[0] else gains[0] + plan.closing * (target - gains[0])
    gains[1], gains[2] = gains[2], 10 ** (gains[0] / 20)
    state.slots[_SLOTS] += level
    counts[2] += 1
    if counts[2] == plan.slot:
        state.slots[counts[3]] = state.slots[_SLOTS] / plan.slot
        state.powers[1] = min(state.powers[1], state.powers[0] / (plan.slot * _GRID * plan.decimation))
        state.powers[0] = 0.0
        counts[2], state.slots[_SLOTS] = 0, 0.0
        counts[3] += 1
        if counts[3] == _SLOTS:
            counts[3] = 0
            _track_floor(plan, state)


@_compiled
def _track_floor(plan: ConditionerPlan, state: ConditionerState) -> None:
    """Remember a window that is noise or hum; the floor is the lowest of those, or lower where it was softer since."""
    softest, loudest, mean = state.slots[0], state.slots[0], 0.0
    for slot in range(_SLOTS):
        softest, loudest = min(softest, state.slots[slot]), max(loudest, state.slots[slot])
        mean += state.slots[slot] / _SLOTS
    state.softest[state.counts[6] % _RECENT] = 10 * math.log10(state.powers[1] + 1e-12)
    state.powers[1] = math.inf
    state.counts[6] += 1
    if loudest - softest < _STEADY_DB and not _is_voiced(plan, state):
        state.remembered[state.counts[5] % _REMEMBERED] = mean
        state.counts[5] += 1
    lowest = _LOUDEST_FLOOR_DB
    for remembered in state.remembered:
        lowest = min(lowest, remembered)
    for softest in state.softest:
        lowest = min(lowest, softest + _ABOVE_SOFTEST_DB)
    state.floor[0] = max(lowest, _SILENT_DB)
    for i in range(2 * plan.window):
        state.past[i] = state.past[i + plan.window]


@_compiled
def _is_voiced(plan: ConditionerPlan, state: ConditionerState) -> bool:
    """Return whether the sound repeats as a voice does, and not as mains hum."""
    found, past = state.repetition, state.past
    start = len(past) - 2 * plan.window
    for each in range(len(found)):
        found[each] = _repetition(past, start, plan.lags[each])
    best = 0.0
    for each in range(1, len(found) - 2 * _MAINS_LAGS - 1):
        if found[each - 1] <= found[each] and found[each] > found[each + 1]:
            best = max(best, found[each])
    if best < _VOICED:
        return False
    mains = found[len(found) - 2 * _MAINS_LAGS :]
    after_one = max(max(mains[0], mains[1]), max(mains[2], mains[3]))
    is_mains = min(after_one, max(mains[4], mains[5])) >= _AS_WELL * best
    return not is_mains


@partial(jit, forceinline=False, reassociate=True)
def _repetition(past: Floats, start: int, lag: int) -> float:
    """Return the normalised autocorrelation of the samples from `start` on at a lag, -1 to 1."""
    together = first = second = np.float32(0)
    now, before = past[start:], past[start - lag : len(past) - lag]  # slices, as `pitch.kernel` has
    for i in range(len(now)):
        together += now[i] * before[i]
        first += now[i] * now[i]
        second += before[i] * before[i]
    return float(together) / (math.sqrt(first * second) + 1e-12)
