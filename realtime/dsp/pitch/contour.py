"""The pitch contour of a whole sound, by the live tracker with more look-ahead."""

from __future__ import annotations

import numpy as np

from gramophone.models.nets.voice import MIDDLE_HZ
from gramophone.realtime.dsp.pitch.tracker import PitchTracker
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import Audio

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
