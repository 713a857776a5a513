"""Intelligibility, quality and pitch of resynthesised phrases, against the recordings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.data.pyin import pitch
from gramophone.offline.data.recording import Recording, spread_evenly
from gramophone.offline.judges.speech import recognise, speech_quality, word_errors

_SHORTEST_S = 1.5


@dataclass(frozen=True)
class Intelligibility:
    """Means over phrases.

    `word_errors` is the word error rate of an English recogniser, NaN without a transcript; `quality` the overall score
    of DNSMOS, 1 to 5; `pitch_correlation` that of the logarithm of the pitch where both are voiced.
    """

    phrases: int
    word_errors: float
    quality: float
    pitch_correlation: float


def intelligibility(phrases: Iterable[tuple[Sound, Sound, str]], rate: int) -> Intelligibility:
    """Return the figures of phrases, each as recorded and as resynthesised, `(T,)` at `rate` Hz, with its words."""
    words, quality, logs = [(0, 0)], [], []
    for recorded, resynthesised, text in phrases:
        words.append(word_errors(text, recognise(resynthesised, rate)) if text else (0, 0))
        quality.append(speech_quality(resynthesised, rate))
        logs.append(_both_voiced(pitch(resynthesised, rate), pitch(recorded, rate)))
    wrong, total = np.sum(words, axis=0)
    after, before = np.concatenate(logs, axis=1)
    return Intelligibility(
        len(quality),
        float(wrong / total) if total else float("nan"),
        float(np.mean(quality)),
        float(np.corrcoef(after, before).flat[1]) if len(before) > 1 else float("nan"),
    )


def phrases_of(recordings: Sequence[Recording], rate: int, count: int) -> list[Recording]:
    """Return up to `count` recordings of 1.5 s or more, spread evenly over all that have a transcript."""
    known = [r for r in recordings if r.found.text and r.heard.audible >= _SHORTEST_S * rate]
    return spread_evenly(known, count)


def _both_voiced(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the logarithms of two pitch tracks where both are voiced, `(2, n)`."""
    frames = min(len(first), len(second))
    tracks = np.stack([first[:frames], second[:frames]])
    return np.asarray(np.log(tracks[:, (tracks > 0).all(axis=0)]), np.float64)
