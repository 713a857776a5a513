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
    """Speakers by some of their recordings, at one rate in Hz.

    `own` is a recording's cosine to the mean of its speaker's others, on average over the speaker's recordings: what
    the likeness of a perfect conversion would be; NaN of a speaker with a single recording.
    """

    def __init__(self, recordings: Mapping[str, Iterable[Sound]], rate: int) -> None:
        self._rate = rate
        voices = {name: np.stack([voice_of(one, rate) for one in own]) for name, own in recordings.items()}
        # Means are shorter the more a speaker's recordings differ: unless they are unit vectors, the steady are nearer.
        self._known = {name: _unit(own.sum(axis=0)) for name, own in voices.items()}
        self.own = {name: _cosine_to_others(own) for name, own in voices.items()}

    def likeness(self, speech: Sound) -> dict[str, float]:
        """Return the cosine between a clip's voice and the mean of each speaker's recordings."""
        found = voice_of(speech, self._rate)
        return {name: float(found @ known) for name, known in self._known.items()}

    def nearest(self, speech: Sound) -> str:
        """Return the speaker whose voice is nearest."""
        likeness = self.likeness(speech)
        return max(likeness, key=lambda name: likeness[name])


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a vector, or each row of a matrix, at length 1."""
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True), np.float32)


def _cosine_to_others(voices: NDArray[np.float32]) -> float:
    """Return the mean cosine of each of `(n, 256)` to the mean of the others."""
    if len(voices) < 2:
        return float("nan")
    return float(np.mean(np.sum(voices * _unit(voices.sum(axis=0) - voices), axis=1)))


@functools.cache
def _encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)
