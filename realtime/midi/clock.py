"""MIDI clock: the tempo from ticks, 24 a quarter note, that arrive early and late; and times from the tempo."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from gramophone.models.parameters import Parameter, ParameterError

TICKS_PER_BEAT = 24
SYNCED_UNITS = ("ms", "s", "Hz")
SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0

_MEMORY_S = 6.0
_ENOUGH = TICKS_PER_BEAT
_RECENT = 12
_EVERY = 4
_LOST_S = 60.0 / SLOWEST_BPM / TICKS_PER_BEAT * 2
_WORTH_BPM = 0.05


class Clock:
    """Estimates the tempo from the times of ticks.

    A line is fitted by least squares to the last 6 s of ticks; its slope is the time of one tick. The slope's error
    falls with the power 3/2 of their number (see `_slope_error`), so that 2 ms of jitter cost some hundredths of a BPM.
    When the newest ticks depart from the line through the older ones, the tempo has changed, and the older are dropped.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._ticks = 0
        self._bpm: float | None = None

    @property
    def bpm(self) -> float | None:
        """The tempo in quarter notes a minute; None until a beat has passed. Changes within its error are ignored."""
        return self._bpm

    @property
    def last_s(self) -> float:
        """When the last tick came; minus infinity if none did."""
        return self._times[-1] if self._times else -math.inf

    def tick(self, time_s: float) -> float | None:
        """Take one tick that came at `time_s`; return the tempo if it has changed."""
        if self._times and abs(time_s - self._times[-1]) > _LOST_S:
            self._times.clear()
        self._times.append(time_s)
        while self._times[-1] - self._times[0] > _MEMORY_S:
            self._times.popleft()
        self._ticks += 1
        if len(self._times) < _ENOUGH or self._ticks % _EVERY:
            return None
        times = np.array(self._times)
        if _has_changed(times):
            self._times = deque(times[-_RECENT // 2 :])  # of the newest 12 ticks at least half are after the change
            return None
        tick_s, offsets = _line(times)
        return self._publish(tick_s, _slope_error(offsets)) if tick_s > 0 else None

    def restart(self) -> None:
        """Forget the ticks, not the tempo: after a start or continue, they need not be in step with those before."""
        self._times.clear()

    def _publish(self, tick_s: float, error_s: float) -> float | None:
        bpm = 60.0 / TICKS_PER_BEAT / tick_s
        worth = max(_WORTH_BPM, 2 * bpm * error_s / tick_s)
        if not SLOWEST_BPM <= bpm <= FASTEST_BPM or (self._bpm and abs(bpm - self._bpm) < worth):
            return None
        self._bpm = bpm
        return bpm


def _line(times: np.ndarray) -> tuple[float, np.ndarray]:
    """Return slope, in seconds a tick, and residuals, `[n]`, of the line fitted to `times`, `[n]`, by their index."""
    index = np.arange(len(times)) - (len(times) - 1) / 2
    centred = times - times.mean()
    slope = float(index @ centred / (index @ index))
    return slope, centred - slope * index


def _slope_error(offsets: np.ndarray) -> float:
    """Return the standard error of a slope, in seconds a tick, from the residuals `offsets`, `[n]`.

    The variance of a least-squares slope is `sigma^2 / sum((i - mean(i))^2)`, here for i = 0 to n - 1, whose sum of
    squares is `(n^3 - n) / 12`: about `sigma * sqrt(12 / n^3)`.
    """
    return float(offsets.std()) * math.sqrt(12 / len(offsets) ** 3)


def _has_changed(times: np.ndarray) -> bool:
    """Return whether the newest ticks depart from the line through the older ones, `times` being `[n]`.

    The median of their distances is compared with the 98 % quantile of the older ones' own. The median, since a machine
    that stalls delays a few ticks; the quantile, not the standard deviation, since times that are rounded to whole
    audio blocks leave residuals that drift slowly.
    """
    older = times[:-_RECENT]
    if len(older) < _ENOUGH:
        return False
    tick_s, offsets = _line(older)
    ahead = np.arange(1, _RECENT + 1) + (len(older) - 1) / 2
    missed = times[-_RECENT:] - older.mean() - tick_s * ahead
    return abs(float(np.median(missed))) > 1.25 * float(np.quantile(np.abs(offsets), 0.98)) + 2e-4


def from_beats(parameter: Parameter, beats: float, bpm: float) -> float:
    """Return the value of a time (ms, s) or rate (Hz) that lasts `beats` quarter notes at `bpm`.

    A value outside the parameter's range is halved or doubled until it fits, and so stays in time.

    Raises:
        ParameterError: the parameter's unit is no time.
    """
    if parameter.unit not in SYNCED_UNITS:
        raise ParameterError(
            f"{parameter.name}: beats need a unit of {', '.join(SYNCED_UNITS)}, not {parameter.unit!r}"
        )
    seconds = beats * 60.0 / bpm
    value = {"ms": 1000.0 * seconds, "s": seconds, "Hz": 1.0 / seconds}[parameter.unit]
    low, high = parameter.range
    while value > high:
        value /= 2
    while value < low:
        value *= 2
    return min(value, high)
