"""The pitch tracker: blocks of any size to one pitch and voicing per hop, after a stated delay.

The pitch contour of a whole sound, by the live tracker with more look-ahead.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gramophone.models.units import MIDDLE_HZ
from gramophone.realtime.dsp.pitch import kernel
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.bound import bind
from gramophone.realtime.stage import Audio

RATES = (8_000, 48_000)
"""Lowest and highest sample rate in Hz that a tracker takes; its cost grows with the square of the rate."""

_WINDOW_S, _REACH_S = 0.016, 0.005
_PASSED_HZ = (40.0, 1500.0)


class PitchError(ValueError):
    """A tracker cannot be built with these settings; the message says what was expected."""


class Pitch(NamedTuple):
    """Pitch in Hz and voicing, 0 to 1, `(frames,)` each.

    Where voicing is below a half, the pitch is the last voiced frame's, so it is always a number above 0.
    """

    hz: Floats
    voicing: Floats


class PitchTracker:
    """Tracks the pitch of one voice or instrument, in `hop` samples at `rate` Hz, between `lowest` and `highest` Hz.

    After `n` samples, `n` any multiple of `hop`, it returns the pitch at `n - delay`. `delay` is half of the analysed
    span, which is two periods of `lowest`, plus the look-ahead of `ahead` hops. More look-ahead makes fewer errors.

    Raises:
        PitchError: rate, hop, range or `ahead` is out of range.
    """

    def __init__(
        self,
        rate: int = 16_000,
        hop: int = 128,
        lowest: float = 60.0,
        highest: float = 1100.0,
        ahead: int = 1,
        model: kernel.PitchModel = kernel.PITCH_MODEL,
    ) -> None:
        _check(rate, hop, lowest, highest, ahead)
        self.rate, self.hop = rate, hop
        self._plan = plan_of(rate, hop, lowest, highest, ahead)
        self._model = model
        self._initial_hz = math.sqrt(lowest * highest)
        self.delay = self._plan.frame // 2 + ahead * hop
        self.reset()

    def reset(self) -> None:
        """Return to the state of silence."""
        state = kernel.state_of(self._plan, self._initial_hz)
        self._track = bind(kernel.track, (self._plan, self._model, state), state.past, state.past[None])
        self._waiting, self._found = 0, np.empty((2, 1), np.float32)

    def process(self, block: Floats) -> Pitch:
        """Return the frames that the next samples, `(samples,)`, complete. NaN and infinity count as silence.

        Raises:
            ValueError: the block has channels.
        """
        if np.ndim(block) != 1:
            raise ValueError(f"audio of shape {np.shape(block)}: expected one channel, (samples,)")
        frames, self._waiting = divmod(self._waiting + len(block), self.hop)
        found = np.empty((2, frames), np.float32)
        self._track(np.ascontiguousarray(block, np.float32), found)
        return Pitch(found[0], found[1])

    def process_hop(self, sound: Floats) -> tuple[float, float]:
        """Return pitch in Hz and voicing of the frame that the next hop, `(hop,)`, completes."""
        self._track(sound, self._found)
        (hz,), (voicing,) = self._found.tolist()
        return hz, voicing


def _check(rate: int, hop: int, lowest: float, highest: float, ahead: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise PitchError(f"{rate} Hz: expected {RATES[0]} to {RATES[1]}")
    if hop < 1 or ahead < 0:
        raise PitchError(f"hop {hop}, ahead {ahead}: expected a hop from 1 and a look-ahead from 0 up")
    if not 20 <= lowest < highest <= rate / 6:
        raise PitchError(f"pitch from {lowest} to {highest} Hz: expected a range between 20 and {rate / 6:.0f}")


def plan_of(rate: int, hop: int, lowest: float, highest: float, ahead: int) -> kernel.TrackerPlan:
    """Return the sizes and filters of a tracker with these settings."""
    low, high = _PASSED_HZ
    sections = np.vstack([kernel.butterworth(2, low, "highpass", rate), kernel.butterworth(2, high, "lowpass", rate)])
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


_AHEAD = 3
_NEIGHBOURS = 25
"""Voiced frames to either side whose median gives the octave that a frame should be in: 0.2 s."""
_JUMP = 0.2
"""Octaves: a frame whose distance from the median is this near to 1 has an octave error."""


def pitch_contour(samples: Audio, rate: int, hop: int) -> Floats:
    """Return octaves above `MIDDLE_HZ` and voicing, 0 to 1, at the end of each hop, `(frames, 2)`.

    `samples` `(T,)` at `rate` Hz; `hop` in samples.
    """
    tracker = PitchTracker(rate, hop, ahead=_AHEAD)
    delay_hops = -(-tracker.delay // hop)
    # Silence before makes the delay a whole number of frames, silence after flushes the last ones.
    ahead, frames = delay_hops * hop - tracker.delay, -(-len(samples) // hop)
    found = tracker.process(np.pad(samples, (ahead, (frames + delay_hops) * hop - ahead - len(samples))))
    octaves = without_octave_jumps(np.log2(found.hz[delay_hops:] / MIDDLE_HZ), found.voicing[delay_hops:])
    return np.stack([octaves, found.voicing[delay_hops:]], 1).astype(np.float32)


def without_octave_jumps(octaves: Floats, voicing: Floats) -> Floats:
    """Return octaves `(frames,)` where voiced frames an octave off their neighbours are moved back by that octave."""
    places = np.flatnonzero(voicing >= 0.5)
    if not len(places):
        return octaves
    padded = np.pad(octaves[places], _NEIGHBOURS, mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1), axis=1)
    off = octaves[places] - around
    right = octaves.copy()
    right[places] -= np.where(np.abs(np.abs(off) - 1) < _JUMP, np.sign(off), 0)
    return right
