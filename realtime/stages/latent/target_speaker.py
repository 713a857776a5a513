"""One-shot target speakers: a clip of 5 to 30 seconds adds its voice to a model's speakers, within seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.codec import Codec

if TYPE_CHECKING:
    from gramophone.models.nets.voice import Voice
    from gramophone.realtime.kernels.arrays import Floats

_SHORTEST_S, _LONGEST_S = 5.0, 30.0
_QUIET_DB = 20.0
"""A single voice pauses for breath: its softest twentieth is at least so far below its loudest."""
_EMPTY_DB = -80.0


@dataclass(frozen=True)
class TargetSpeaker:
    """A speaker added to a voice model by a reference clip alone.

    `clip` is the file's name; `vector` `(speaker,)` the speaker embedding; `octave` the middle pitch in octaves above
    `MIDDLE_HZ`, NaN if nothing is voiced; `mean` `(D,)` and `covariance` `(D, D)` the moments of the latents. `warning`
    is a message for the user about the clip, or empty.
    """

    clip: str
    vector: Floats
    octave: float
    mean: Floats
    covariance: Floats
    warning: str = ""

    def to_text(self) -> str:
        """Return the speaker as one line of text, for a preset."""
        upper = self.covariance[np.triu_indices(len(self.mean))]
        numbers = np.concatenate([self.vector, [self.octave], self.mean, upper])
        return f"{self.clip}: " + " ".join(f"{number:.9g}" for number in numbers)

    @staticmethod
    def from_text(text: str, shape: Mapping[str, Any]) -> TargetSpeaker:
        """Return the speaker that `to_text` wrote, for a model of a certain shape.

        Raises:
            StageError: the text does not fit the model.
        """
        clip, _, numbers_text = text.rpartition(": ")
        width, latents = int(shape["speaker"]), int(shape["latents"])
        rows, columns = np.triu_indices(latents)
        try:
            numbers = np.array([float(word) for word in numbers_text.split()], np.float32)
        except ValueError:
            numbers = np.empty(0, np.float32)
        if not clip or len(numbers) != width + 1 + latents + len(rows):
            raise StageError(
                f"met = {text[:40]!r}: expected a clip's name and {width + 1 + latents + len(rows)} numbers, as they "
                "were saved with this model; remove the line, and the clip is analysed again"
            )
        vector, (octave,), mean, upper = np.split(numbers, np.cumsum([width, 1, latents]))
        covariance = np.zeros((latents, latents), np.float32)
        covariance[rows, columns] = covariance[columns, rows] = upper
        return TargetSpeaker(clip, vector, float(octave), mean, covariance)


class ZeroShotCodec(Codec, Protocol):
    """A codec that also synthesises speakers on whom its model was not trained."""

    def enrol(self, clip: str, sound: Floats) -> TargetSpeaker:
        """Return the speaker of a clip, from its sound `(T,)`. Safe to call from any thread.

        Raises:
            StageError: there is no voice in the clip.
        """

    def add_target(self, target: TargetSpeaker) -> None:
        """Give the last of the weights over speakers to a target speaker."""


def enrol(voice: Voice, clip: str, sound: Floats) -> TargetSpeaker:
    """Return the speaker of a clip, from its sound `(T,)` at the voice's rate, of which 30 s are used at most.

    Raises:
        StageError: the clip is silent, or shorter than half a second.
    """
    import torch

    from gramophone.models.nets.speaker_fit import LEAST_FRAMES, fit_speaker
    from gramophone.models.style.gaussian import moments
    from gramophone.realtime.stages.latent.encoder import audible
    from gramophone.realtime.stages.latent.voice_analysis import adapted_state, analyse

    shape = voice.shape
    sound = sound[: round(_LONGEST_S * shape.rate) // shape.hop * shape.hop]
    sound = sound[: len(sound) // shape.hop * shape.hop]
    name = Path(clip).name
    powers: Floats = np.square(sound.reshape(-1, shape.hop)).mean(axis=1)
    active = np.asarray(audible(powers, float(powers.max(initial=0.0))))
    if len(powers) < LEAST_FRAMES or not active.any():
        raise StageError(f"guest: {clip}: no voice in it; expected 5 to 30 seconds of one voice")
    with torch.no_grad():
        z, prosody = analyse(voice, sound, state=adapted_state(voice, sound))
        octaves, voicing, _ = prosody[0].numpy()
        active_moments = moments(z[0].t()[torch.from_numpy(active)].numpy()).gaussian()
    vector = fit_speaker(voice, z, prosody, torch.from_numpy(sound)[None, None])
    voiced = octaves[voicing >= 0.5]
    return TargetSpeaker(
        name,
        vector[0].numpy(),
        float(np.median(voiced)) if len(voiced) else math.nan,
        active_moments.mean.astype(np.float32),
        active_moments.covariance.astype(np.float32),
        _warning(name, powers, float(active.sum() * shape.hop / shape.rate)),
    )


def _warning(name: str, powers: Floats, seconds: float) -> str:
    """Return what is wrong with a clip as a reference for one voice, or an empty text."""
    softest, loudest = 10 * np.log10(np.quantile(powers, [0.05, 0.95]) + 10 ** (_EMPTY_DB / 10))
    if loudest - softest < _QUIET_DB:
        return (
            f"{name}: its softest moments are only {loudest - softest:.0f} dB below its loudest, so there is "
            f"other sound beside the voice, such as music, which becomes part of the speaker; expected "
            f"{_QUIET_DB:.0f} dB or more"
        )
    if seconds < _SHORTEST_S:
        return (
            f"{name}: {seconds:.1f} s of sound; a speaker is more similar with {_SHORTEST_S:.0f} to {_LONGEST_S:.0f} s"
        )
    return ""
