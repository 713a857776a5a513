"""How a whole sound is intoned, by the tracker that hears singers live, looking a little further ahead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.models.nets.voice import MIDDLE_HZ
from gramophone.realtime.dsp.pitch.tracker import PitchTracker
from gramophone.realtime.stage import Audio

Floats = NDArray[np.float32]

_AHEAD = 3
_NEIGHBOURS = 25
"""Voiced frames to either side that say which octave a frame should be in: 0.2 s."""
_JUMP = 0.2
"""A frame this near to an octave off is an octave off."""


def measured(samples: Audio, rate: int, hop: int) -> Floats:
    """Return octaves above the middle pitch and voicing, 0 to 1, at the end of each hop of a sound, `(frames, 2)`."""
    tracker = PitchTracker(rate, hop, ahead=_AHEAD)
    late = -(-tracker.delay // hop)
    # Silence ahead makes the delay whole frames, silence behind lets the last ones out.
    ahead, frames = late * hop - tracker.delay, -(-len(samples) // hop)
    found = tracker.process(np.pad(samples, (ahead, (frames + late) * hop - ahead - len(samples))))
    octaves = mended(np.log2(found.hz[late:] / MIDDLE_HZ), found.voicing[late:])
    return np.stack([octaves, found.voicing[late:]], 1).astype(np.float32)


def mended(octaves: Floats, voicing: Floats) -> Floats:
    """Return octaves `(frames,)` without jumps of an octave and back among what is voiced."""
    places = np.flatnonzero(voicing >= 0.5)
    if not len(places):
        return octaves
    padded = np.pad(octaves[places], _NEIGHBOURS, mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1), axis=1)
    off = octaves[places] - around
    right = octaves.copy()
    right[places] -= np.where(np.abs(np.abs(off) - 1) < _JUMP, np.sign(off), 0)
    return right
