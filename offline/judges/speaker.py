"""Speaker similarity: the embedding of Wan et al. 2018 (generalised end-to-end loss), as Resemblyzer has it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import Sound, heard

SpeakerEncoder = Callable[[Sound, int], NDArray[np.float32]]
"""What returns the embedding, a unit vector, of speech `(T,)` at a rate in Hz."""
EMBEDDING_LIBRARIES = ("resemblyzer", "webrtcvad")
"""What must be installed for speaker embeddings."""


def speaker_embedding(speech: Sound, rate: int) -> NDArray[np.float32]:
    """Return the embedding of speech `(T,)` at `rate` Hz, a unit vector `(256,)`; their product is the similarity."""
    return np.asarray(_encoder().embed_utterance(heard(speech, rate)), np.float32)


class ReferenceSpeakers:
    """Speakers by the embeddings of some of their recordings, at one rate in Hz, by an encoder: `speaker_embedding`.

    `own` is the cosine of a recording's embedding to the mean of the speaker's others, on average over the speaker's
    recordings: the similarity of a perfect conversion. It is NaN for a speaker with a single recording.
    """

    def __init__(
        self, recordings: Mapping[str, Iterable[Sound]], rate: int, encoder: SpeakerEncoder | None = None
    ) -> None:
        self._rate, self._encoder = rate, encoder or speaker_embedding
        embeddings = {name: np.stack([self._encoder(one, rate) for one in own]) for name, own in recordings.items()}
        self._recorded = embeddings
        # Means are shorter the more a speaker's recordings differ: unless they are unit vectors, the steady are nearer.
        self._known = {name: _unit(own.sum(axis=0)) for name, own in embeddings.items()}
        self.own = {name: _cosine_to_others(own) for name, own in embeddings.items()}

    def similarity(self, speech: Sound) -> dict[str, float]:
        """Return the cosine between the embedding of speech and the mean of each speaker's, by speaker."""
        found = self._encoder(speech, self._rate)
        return {name: float(found @ known) for name, known in self._known.items()}

    def nearest(self, speech: Sound) -> str:
        """Return the speaker of the largest similarity."""
        similarity = self.similarity(speech)
        return max(similarity, key=lambda name: similarity[name])

    def recognised(self, speaker: str, other: str) -> float:
        """Return the share of a speaker's recordings that are nearer to the speaker's others than to another speaker.

        It is NaN for a speaker with a single recording.
        """
        own = self._recorded[speaker]
        if len(own) < 2:
            return float("nan")
        others = _unit(own.sum(axis=0) - own)
        return float(np.mean(np.sum(own * others, axis=1) > own @ self._known[other]))


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a vector, or each row of a matrix, at length 1."""
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True), np.float32)


def _cosine_to_others(embeddings: NDArray[np.float32]) -> float:
    """Return the mean cosine of each of `(n, 256)` to the mean of the others; NaN if there are none."""
    if len(embeddings) < 2:
        return float("nan")
    return float(np.mean(np.sum(embeddings * _unit(embeddings.sum(axis=0) - embeddings), axis=1)))


@functools.cache
def _encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)
