"""The tracker: sound in blocks of any size to pitch and voicing, one of each per hop, late by a stated time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.dsp.pitch import kernel

Floats = NDArray[np.float32]

RATES = (8_000, 48_000)
"""Hz from which to which a tracker works; its cost grows with the square of the rate."""

_WINDOW_S, _REACH_S = 0.016, 0.005
_PASSED_HZ = (40.0, 1500.0)


class PitchError(ValueError):
    """A tracker cannot be made of these numbers; the message says what was expected."""


class Pitch(NamedTuple):
    """Pitch in Hz and voicing, 0 to 1, of some frames, `(frames,)` each.

    Where voicing is below a half the pitch is the last that there was, so it is a number above 0 everywhere.
    """

    hz: Floats
    voicing: Floats


class PitchTracker:
    """Follows one voice or instrument.

    After `n` samples, `n` any multiple of `hop`, it says what the pitch was `delay` samples before: half of the span
    that it looks at, which is two periods of `lowest`, and `ahead` hops. More `ahead` errs less.

    Raises:
        PitchError: rate, hop, range or `ahead` is not one that it works at.
    """

    def __init__(
        self,
        rate: int = 16_000,
        hop: int = 128,
        lowest: float = 60.0,
        highest: float = 1100.0,
        ahead: int = 1,
        belief: kernel.Belief = kernel.BELIEF,
    ) -> None:
        _check(rate, hop, lowest, highest, ahead)
        self.rate, self.hop = rate, hop
        self._plan = plan_of(rate, hop, lowest, highest, ahead)
        self._belief = belief
        self._resting = math.sqrt(lowest * highest)
        self.delay = self._plan.frame // 2 + ahead * hop
        self.reset()
        self.process(np.zeros(0, np.float32))  # compiled now, not later

    def reset(self) -> None:
        """Forget all that was heard."""
        self._state = kernel.state_of(self._plan, self._resting)
        self._waiting = 0

    def process(self, block: Floats) -> Pitch:
        """Hear the next samples, `(samples,)`; return the frames that they complete. What is no number is silence."""
        frames, self._waiting = divmod(self._waiting + len(block), self.hop)
        found = np.empty((2, frames), np.float32)
        # Copied in any case: what is read-only is another type to numba, and would be compiled for once more.
        kernel.follow(self._plan, self._belief, self._state, np.array(block, np.float32), found)
        return Pitch(found[0], found[1])


def _check(rate: int, hop: int, lowest: float, highest: float, ahead: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise PitchError(f"{rate} Hz: expected {RATES[0]} to {RATES[1]}")
    if hop < 1 or ahead < 0:
        raise PitchError(f"hop {hop}, ahead {ahead}: expected a hop from 1 and frames from 0 up")
    if not 20 <= lowest < highest <= rate / 6:
        raise PitchError(f"pitch from {lowest} to {highest} Hz: expected a range between 20 and {rate / 6:.0f}")


def plan_of(rate: int, hop: int, lowest: float, highest: float, ahead: int) -> kernel.TrackerPlan:
    """Return the sizes of a tracker."""
    from scipy.signal import butter

    low, high = _PASSED_HZ
    sections = np.vstack(
        [butter(2, low, "highpass", fs=rate, output="sos"), butter(2, high, "lowpass", fs=rate, output="sos")]
    )
    shortest, longest = math.floor(rate / highest), math.ceil(rate / lowest)
    return kernel.TrackerPlan(
        shortest=shortest,
        longest=longest,
        frame=2 * longest + 2,
        hop=hop,
        window=round(_WINDOW_S * rate),
        reach=min(round(_REACH_S * rate), longest),
        ahead=ahead,
        rate=float(rate),
        sections=sections,
    )
