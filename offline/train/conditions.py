"""Conditioning of a WaveNet beside the speaker: the text of a recording, or a series of frames."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.layers.vocoder_features import LogMel, aligned_log_mel, pitch_channels
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.pyin import pitch
from gramophone.offline.data.recording import DataError, Recording
from gramophone.offline.data.text import TextEncoder, read_words, word_series
from gramophone.presets.atomic import atomic_write

Floats = NDArray[np.float32]
SERIES = ("mel", "mel+pitch", "words")
_LABELS = ".labels.txt"


def text_vectors(encoder: TextEncoder, recordings: Sequence[Recording]) -> Callable[[Recording], Floats]:
    """Return a function from a recording to the vector of its text.

    Raises:
        DataError: no recording has a transcript.
    """
    texts = {recording.name: recording.found.text for recording in recordings}
    if not any(texts.values()):
        raise DataError("no transcript for any recording; expected NAME.txt beside NAME.wav, or VCTK's folder txt")
    vectors = {name: encoder(text) for name, text in texts.items()}
    return lambda recording: vectors[recording.name]


def local_series(
    kind: str, rate: int, hop: int, bands: int, encoder: TextEncoder | None
) -> tuple[int, Callable[[Recording], Floats]]:
    """Return the channels of a series and how to get it, `(frames, channels)`, for a recording.

    Raises:
        DataError: there is no such series, or words are wanted and no text encoder is given.
    """
    if kind == "words" and encoder:
        return encoder.width, functools.cache(lambda recording: _words(recording, rate, hop, encoder))
    if kind not in ("mel", "mel+pitch"):
        raise DataError(f"series {kind!r}: expected one of {', '.join(SERIES)}; words go with --text")
    extractor = LogMel(rate, hop, bands)
    channels = bands + (2 if kind == "mel+pitch" else 0)
    return channels, functools.cache(lambda recording: _acoustic(recording, extractor, rate, channels > bands))


def _acoustic(recording: Recording, extractor: LogMel, rate: int, pitched: bool) -> Floats:
    samples = sound(recording)
    whole = np.pad(samples, (0, -len(samples) % extractor.hop))
    with torch.inference_mode():
        series = aligned_log_mel(extractor, torch.from_numpy(whole)[None, None])
        if pitched:
            hz = torch.from_numpy(_pitch(recording, rate, extractor.hop, series.shape[2]))
            series = torch.cat([series, pitch_channels(hz[None])], 1)
    return np.ascontiguousarray(series[0].T.numpy())


def _pitch(recording: Recording, rate: int, hop: int, frames: int) -> Floats:
    """Return the pitch of each frame in Hz, 0 where there is none (pYIN); cached beside the decoded sound."""
    kept = recording.sound.with_suffix(f".pitch-{hop}.npy")
    if not kept.is_file():
        found = pitch(sound(recording), rate, hop)
        with atomic_write(kept) as part, part.open("wb") as file:
            np.save(file, found)
    hz = np.load(kept)[:frames]
    return np.pad(hz, (0, frames - len(hz)))


def _words(recording: Recording, rate: int, hop: int, encoder: TextEncoder) -> Floats:
    labels = recording.found.path.with_suffix(_LABELS)
    if not labels.is_file():
        raise DataError(f"{labels}: not there; --local words needs the times of the words for every recording")
    return word_series(read_words(labels), encoder, rate / hop, -(-recording.heard.frames // hop))
