"""One shot: a clip of 5 to 30 seconds makes whoever is heard in it a speaker of a voice, within seconds."""

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

_LEAST_S, _MOST_S = 5.0, 30.0
_QUIET_DB = 20.0
"""Whoever speaks or sings alone pauses for breath: its softest twentieth is at least so far below its loudest."""
_EMPTY_DB = -80.0


@dataclass(frozen=True)
class TargetSpeaker:
    """A speaker whom a voice knows by a clip alone.

    `clip` is the file's name; `vector` `(speaker,)` who it is to the voice; `octave` the middle of the range, NaN if
    nothing is voiced; `mean` `(D,)` and `covariance` `(D, D)` where the latents lie. `remark` is what people should
    know of it.
    """

    clip: str
    vector: Floats
    octave: float
    mean: Floats
    covariance: Floats
    remark: str = ""

    def text(self) -> str:
        """Return all of it as a line that a preset can hold."""
        upper = self.covariance[np.triu_indices(len(self.mean))]
        numbers = np.concatenate([self.vector, [self.octave], self.mean, upper])
        return f"{self.clip}: " + " ".join(f"{number:.9g}" for number in numbers)

    @staticmethod
    def of_text(text: str, shape: Mapping[str, Any]) -> TargetSpeaker:
        """Return the guest whom `text` made, for a voice of a certain shape.

        Raises:
            StageError: it does not fit.
        """
        clip, _, said = text.rpartition(": ")
        width, latents = int(shape["speaker"]), int(shape["latents"])
        rows, columns = np.triu_indices(latents)
        try:
            numbers = np.array([float(word) for word in said.split()], np.float32)
        except ValueError:
            numbers = np.empty(0, np.float32)
        if not clip or len(numbers) != width + 1 + latents + len(rows):
            raise StageError(
                f"met = {text[:40]!r}: expected a clip's name and {width + 1 + latents + len(rows)} numbers, as they "
                "were saved with this model; take the line out, and the clip is listened to again"
            )
        vector, (octave,), mean, upper = np.split(numbers, np.cumsum([width, 1, latents]))
        covariance = np.zeros((latents, latents), np.float32)
        covariance[rows, columns] = covariance[columns, rows] = upper
        return TargetSpeaker(clip, vector, float(octave), mean, covariance)


class ZeroShotCodec(Codec, Protocol):
    """A codec that sings as speakers whom its model was not trained on, too."""

    def meet(self, clip: str, sound: Floats) -> TargetSpeaker:
        """Return who is heard in a clip, its sound `(T,)`; any thread may ask.

        Raises:
            StageError: nobody is.
        """

    def welcome(self, target: TargetSpeaker) -> None:
        """From now on, the last of the weights over speakers is the guest's."""


def meet(voice: Voice, clip: str, sound: Floats) -> TargetSpeaker:
    """Listen to a clip `(T,)` at the voice's rate, 30 s of it at most, and return who is heard in it.

    Raises:
        StageError: it is silent, or shorter than half a second.
    """
    import torch

    from gramophone.models.nets.speaker_fit import LEAST_FRAMES, fit_speaker
    from gramophone.models.style.gaussian import moments
    from gramophone.realtime.stages.latent.encoder import audible
    from gramophone.realtime.stages.latent.voice_offline import accustomed, analysed

    shape = voice.shape
    sound = sound[: round(_MOST_S * shape.rate) // shape.hop * shape.hop]
    sound = sound[: len(sound) // shape.hop * shape.hop]
    name = Path(clip).name
    powers: Floats = np.square(sound.reshape(-1, shape.hop)).mean(axis=1)
    heard = np.asarray(audible(powers, float(powers.max(initial=0.0))))
    if len(powers) < LEAST_FRAMES or not heard.any():
        raise StageError(f"guest: {clip}: nobody to be heard; expected 5 to 30 seconds of one voice")
    with torch.no_grad():
        z, told = analysed(voice, sound, heard=accustomed(voice, sound))
        octaves, voicing, _ = told[0].numpy()
        own = moments(z[0].t()[torch.from_numpy(heard)]).gaussian()
    vector = fit_speaker(voice, z, told, torch.from_numpy(sound)[None, None])
    sung = octaves[voicing >= 0.5]
    return TargetSpeaker(
        name,
        vector[0].numpy(),
        float(np.median(sung)) if len(sung) else math.nan,
        own.mean.float().numpy(),
        own.covariance.float().numpy(),
        _remark(name, powers, float(heard.sum() * shape.hop / shape.rate)),
    )


def _remark(name: str, powers: Floats, seconds: float) -> str:
    """Return what is wrong with a clip as somebody's voice, or nothing."""
    softest, loudest = 10 * np.log10(np.quantile(powers, [0.05, 0.95]) + 10 ** (_EMPTY_DB / 10))
    if loudest - softest < _QUIET_DB:
        return (
            f"{name}: its softest moments are only {loudest - softest:.0f} dB below its loudest, so something else is "
            f"heard as well, music perhaps, and becomes part of the speaker; expected {_QUIET_DB:.0f} dB or more"
        )
    if seconds < _LEAST_S:
        return f"{name}: {seconds:.1f} s of sound; a speaker is better known by {_LEAST_S:.0f} to {_MOST_S:.0f} s"
    return ""
