"""A gate by the level of the content: a style without pauses would else fill the content's pauses with noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import Sound, frame_levels, levelled

_FRAME_S = 0.032
_LEAST = 1e-6
_TIMES = 4


def kept_quiet(sound: Sound, content: Sound, rate: int) -> Sound:
    """Return `sound` (T,) nowhere louder than `content` (T,), which is in line with it, both at -20 dBFS.

    Levels are those of frames of 32 ms, and a sample gets the least gain of all frames that it lies in. What is taken
    from loud frames makes the whole louder when it is brought to its level again, so this is done a few times.
    """
    from scipy.ndimage import minimum_filter1d

    frame = round(_FRAME_S * rate)
    hop = frame // 4
    allowed = _levels(levelled(content), frame, hop)
    places = np.arange(len(allowed)) * hop
    for _ in range(_TIMES):
        sound = levelled(sound)
        gains = np.minimum(1, (allowed + _LEAST) / (_levels(sound, frame, hop) + _LEAST))
        least = minimum_filter1d(gains, 1 + frame // hop)
        sound = sound * np.interp(np.arange(len(sound)), places, least).astype(np.float32)
    return levelled(sound)


def _levels(sound: Sound, frame: int, hop: int) -> NDArray[np.float64]:
    return frame_levels(np.pad(sound, (frame // 2, frame // 2)), frame, hop)
