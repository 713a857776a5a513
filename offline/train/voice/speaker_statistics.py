"""Long-term statistics of the speakers of a corpus, and a voice that starts from another one's weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gramophone.models.checkpoint import load
from gramophone.models.layers.streaming import State
from gramophone.models.nets.voice import Voice
from gramophone.models.nets.voice_features import SpeakerNormalisation
from gramophone.models.units import MIDDLE_HZ
from gramophone.offline.data.corpus import Corpus, sound
from gramophone.offline.data.recording import Recording, spread_evenly
from gramophone.offline.train.crops import Series
from gramophone.offline.train.plan import TrainingError

_RECORDINGS, _EXCERPT_S = 40, 4.0
"""Recordings per speaker that are measured, and seconds of each."""
_NEW_SPEAKER = 0.3
"""Length of the random offset of a new speaker's vector from the mean speaker, as a share of a vector's length."""


class CorpusSpeakerStatistics(NamedTuple):
    """Statistics by speaker, in the corpus' order.

    `moments` `[speakers, 2 * channels]` are the mean and the mean square of each channel of the log-mel frames,
    `median_octaves` `[speakers]` the median pitch in octaves above `MIDDLE_HZ`.
    """

    moments: Tensor
    median_octaves: Tensor

    def median_hz(self) -> list[float]:
        """Return the speakers' median pitch in Hz."""
        hz: list[float] = (MIDDLE_HZ * self.median_octaves.exp2()).tolist()
        return hz


@torch.no_grad()
def statistics_of(voice: Voice, corpus: Corpus, prosody: Series) -> CorpusSpeakerStatistics:
    """Return the statistics of each speaker of a corpus, measured on training recordings."""
    moments, medians = [], []
    for speaker in corpus.speakers:
        own = spread_evenly([r for r in corpus.training if r.speaker == speaker], _RECORDINGS)
        moments.append(moments_of(voice, own))
        series = np.concatenate([prosody(recording) for recording in own])
        voiced = series[series[:, 1] >= 0.5, 0]
        medians.append(float(np.median(voiced)) if len(voiced) else 0.0)
    return CorpusSpeakerStatistics(torch.stack(moments), torch.tensor(medians))


def moments_of(voice: Voice, recordings: Sequence[Recording]) -> Tensor:
    """Return mean and mean square of the log-mel frames of the beginnings of recordings, `[2 * channels]`."""
    shape = voice.shape
    normalisation = SpeakerNormalisation(
        shape.bands, voice.encoder.normalisation.channels - shape.bands, memory=math.inf
    )
    state: State | None = None
    for recording in recordings:
        samples = torch.from_numpy(sound(recording, 0, round(_EXCERPT_S * shape.rate)))
        frames = voice.features(samples[: len(samples) // shape.hop * shape.hop][None, None])
        _, state = normalisation(frames, state)
    assert state is not None
    return state[2][0, :, 0]


@torch.no_grad()
def start_from(voice: Voice, start: Path, speakers: Sequence[str]) -> None:
    """Copy the weights of a trained voice; vectors of speakers that it lacks start near its mean speaker.

    Args:
        voice: the voice to initialise, one vector for each of `speakers`.
        start: the file of the trained voice.
        speakers: names of the voice's speakers.

    Raises:
        TrainingError: the trained voice has another shape.
        CheckpointError: the file is no voice.
    """
    trained, card = load(start, "voice")
    weights = trained.state_dict()
    table = weights["table"]
    new = table.mean(0) + _NEW_SPEAKER * voice.table
    weights["table"] = torch.stack(
        [
            table[card.speakers.index(name)] if name in card.speakers else vector
            for name, vector in zip(speakers, new, strict=True)
        ]
    )
    try:
        voice.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(f"{start}: a voice of another shape than the plan's ({error})") from None
