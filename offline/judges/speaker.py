"""Whose voice it is: the speaker embedding of Wan et al. 2018, as Resemblyzer has it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import Sound, heard

EMBEDDING_LIBRARIES = ("resemblyzer", "webrtcvad")
"""What must be installed for speaker embeddings."""


def voice_of(speech: Sound, rate: int) -> NDArray[np.float32]:
    """Return a unit vector `(256,)` that is near for two recordings of one speaker."""
    return np.asarray(_encoder().embed_utterance(heard(speech, rate)), np.float32)


class KnownVoices:
    """Speakers by some of their recordings, at one rate in Hz."""

    def __init__(self, recordings: Mapping[str, Iterable[Sound]], rate: int) -> None:
        self._rate = rate
        self._known = {name: np.mean([voice_of(one, rate) for one in own], axis=0) for name, own in recordings.items()}

    def likeness(self, speech: Sound) -> dict[str, float]:
        """Return the cosine between a clip's voice and that of each speaker's recordings, on average."""
        found = voice_of(speech, self._rate)
        return {name: float(found @ known) for name, known in self._known.items()}

    def nearest(self, speech: Sound) -> str:
        """Return the speaker whose voice is nearest."""
        likeness = self.likeness(speech)
        return max(likeness, key=lambda name: likeness[name])


@functools.cache
def _encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)
