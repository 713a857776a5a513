"""Pitch and voicing of a recording, once a hop, computed once and cached beside the decoded sound.

The tracker is the one used live, with a little more look-ahead, so that a voice is trained with the pitch errors that
it will meet.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.corpus import sound
from gramophone.offline.data.recording import Recording
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.dsp.pitch.tracker import pitch_contour

Floats = NDArray[np.float32]

_VERSION = 1
"""Version of the cached files; a new one recomputes them."""


def prosody(recording: Recording, rate: int, hop: int) -> Floats:
    """Return octaves above the middle pitch and voicing, 0 to 1, at the end of each of its hops, `(frames, 2)`."""
    kept = recording.sound.with_suffix(f".prosody-{hop}-{_VERSION}.npy")
    if not kept.is_file():
        found = pitch_contour(sound(recording), rate, hop)
        with atomic_write(kept) as part, part.open("wb") as file:
            np.save(file, found)
    return np.asarray(np.load(kept), np.float32)
