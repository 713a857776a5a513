"""How a recording is intoned: pitch and voicing, once a hop, found once and kept beside the decoded sound.

By the tracker that hears singers live, looking a little further ahead: what a voice is told while it learns is what it
will be told on stage, small mistakes included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.corpus import sound
from gramophone.offline.data.recording import Recording
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.dsp.pitch.contour import pitch_contour

Floats = NDArray[np.float32]

_VERSION = 1
"""Of what is kept; a new one makes everything be heard again."""


def prosody(recording: Recording, rate: int, hop: int) -> Floats:
    """Return octaves above the middle pitch and voicing, 0 to 1, at the end of each of its hops, `(frames, 2)`."""
    kept = recording.sound.with_suffix(f".prosody-{hop}-{_VERSION}.npy")
    if not kept.is_file():
        found = pitch_contour(sound(recording), rate, hop)
        with atomic_write(kept) as part, part.open("wb") as file:
            np.save(file, found)
    return np.asarray(np.load(kept), np.float32)
