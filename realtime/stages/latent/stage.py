"""The latent stage: the input is encoded, its latents are transformed, and the model decodes them.

[[stages]]
name = "voice"
kind = "latent"
model = "vlae"             # one of Gramophone's models by name, or a .safetensors or .ts file beside the preset
clip = "choir.flac"        # the style that the latents are moved to
speaker = "anna"
z1-brightness = 0.5        # offset of the first latent, if that is its name

It is mono inside (`realtime/stages/latent/voice_hops.py`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gramophone.models.checkpoint import numbers_of
from gramophone.models.parameters import Value
from gramophone.realtime.stage import Audio, Format, Keys, Parts, StageError, refuse_setting
from gramophone.realtime.stages.background import Background, BackgroundStage
from gramophone.realtime.stages.latent.codec import Codec, LatentModel
from gramophone.realtime.stages.latent.parameters import MOMENTS, latent_names, parameters_of
from gramophone.realtime.stages.latent.target_speaker import TargetSpeaker, ZeroShotCodec
from gramophone.realtime.stages.speaker_blend import MODEL_SETTINGS, model_of, model_settings, speaker_weights

if TYPE_CHECKING:
    from gramophone.realtime.dsp.rate_adapter import Finish
    from gramophone.realtime.kernels.arrays import Floats
    from gramophone.realtime.stages.latent.reference_clips import ReferenceClips

_LOG = logging.getLogger(__name__)
_CLIPS = ("clip", "clip2", "guest")
_SETTINGS = (*MODEL_SETTINGS, "stored", "met")


class LatentStage(BackgroundStage["ReferenceClips"]):
    """Plays its input through a latent model.

    Raises:
        StageError: the model cannot be used, a clip cannot be read, or saved latents do not fit the model.
    """

    kind = "latent"
    reduces = True
    compiles = True

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return the parameters, with the model's speakers and latents by name, the settings, and the model's hop.

        Raises:
            StageError: there is no such model, it is of another kind, or saved latents or speakers do not fit it.
        """
        model = LatentModel.of(model_of(values, folder))
        _stored(values, model)
        settings = model_settings(values, model.path)
        _saved_target(values, model)
        settings |= {name: str(values[name]) for name in ("stored", "met") if name in values}
        return Keys(
            parameters_of(model.kind, model.card, model.latents),
            settings,
            hop_s=model.card.hop / model.card.rate,
        )

    @classmethod
    def parts(cls, form: Format, values: Mapping[str, Value]) -> Parts:
        """Return those of the model's codec, and the gate."""
        from gramophone.realtime.stages.latent.voice_hops import VoiceHops

        return (*LatentModel.of(model_of(values)).parts(), *VoiceHops.parts(form.rate))

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        from gramophone.realtime.stages.latent.latent_transform import LatentTransform, SpeakerMoments
        from gramophone.realtime.stages.latent.voice_hops import VoiceHops

        model = LatentModel.of(model_of(values))
        knobs = parameters_of(model.kind, model.card, model.latents)
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in knobs}
        self._speakers = model.card.speakers
        self._codec = codec = model.codec("cuda" if form.device == "cuda" else "cpu")
        self._hops = VoiceHops(form.rate, codec, knobs, self._values, self._weights)
        self.delay = self._hops.delay
        self._speaker_moments = SpeakerMoments(model.card) if MOMENTS in model.card.notes else None
        self._target: TargetSpeaker | None = None
        clips = _analyse_clips(codec, self._values, _saved_target(values, model))
        self._set_target(clips.target)
        self._transform = LatentTransform(
            _latents(model), codec.hop / codec.rate, clips, _stored(values, model), _directions(model)
        )
        self.background = Background["ReferenceClips"]("latent-clips")

    def set(self, name: str, value: Value) -> None:
        """Set a parameter; it takes effect with the next frame. A new clip is analysed in the background.

        A clip that cannot be analysed is named in the log, and the old one stays.

        Raises:
            StageError: `name` is not a parameter but a setting of the stage.
        """
        refuse_setting(name, _SETTINGS)
        self._values[name] = value
        self._hops.set(name, value)
        if name in _CLIPS:
            self.background.submit(partial(_analyse_clips, self._codec, dict(self._values), self._target))
        if name == "store" and value:
            self._transform.store()

    def process(self, block: Audio) -> Audio:
        """Return the model's output, `(channels, frames)` both, `delay` samples late."""
        self._collect()
        return self._hops.process(block, self._begin_hop)

    def read_reduction_db(self) -> float:
        """Return by how much its gate turns the input down now, in dB, 0 or less."""
        return self._hops.gain_db

    def snapshot(self) -> Mapping[str, Value]:
        """Return the stored latents and the target speaker, each as text."""
        stored = self._transform.stored
        kept: dict[str, Value] = {} if stored is None else {"stored": " ".join(f"{number:.6g}" for number in stored)}
        return kept | {"met": self._target.to_text()} if self._target else kept

    def _adopt(self, made: ReferenceClips) -> None:
        self._transform.set_clips(made)
        self._set_target(made.target)

    def _set_target(self, target: TargetSpeaker | None) -> None:
        """Use a target speaker from now on, or none."""
        if target and target is not self._target:
            cast("ZeroShotCodec", self._codec).add_target(target)
            if self._speaker_moments:
                self._speaker_moments.add_target(target)
        self._target = target
        self._hops.refresh()

    def _begin_hop(self, sound: Floats) -> Finish:
        """Do the first half of a hop's work; return the second, with the parameters as they are now."""
        weights, values = self._hops.next_values()
        speaker_style = self._speaker_moments.blend(weights) if self._speaker_moments and values["likeness"] else None
        frame = self._transform.process(self._codec.analyse(sound), values, speaker_style)
        return partial(self._codec.synthesise, frame, weights, values)

    def _weights(self, values: Mapping[str, Value]) -> Floats:
        """Return the weights of the model's speakers and, if the model takes one, last of the target speaker."""
        weights = speaker_weights(self._speakers, values)
        if "guest-share" not in values:
            return weights
        share = np.float32(values["guest-share"] if self._target else 0.0)
        return np.append(weights * (1 - share), share)


def _analyse_clips(codec: Codec, values: Mapping[str, Value], known: TargetSpeaker | None) -> ReferenceClips:
    from gramophone.realtime.stages.latent.reference_clips import ReferenceClips

    clips = ReferenceClips.learn(codec, values, known)
    for warning in clips.warnings:
        _LOG.warning("latent: %s", warning)
    return clips


def _saved_target(values: Mapping[str, Value], model: LatentModel) -> TargetSpeaker | None:
    """Return the target speaker that a preset holds.

    Raises:
        StageError: it does not fit the model.
    """
    text = str(values.get("met", ""))
    return TargetSpeaker.from_text(text, numbers_of(model.path)) if text else None


def _latents(model: LatentModel) -> tuple[str, ...]:
    return latent_names(model.card, model.latents)


def _directions(model: LatentModel) -> Floats | None:
    """Return what an offset of 1 on each latent adds to all, where the model's card says so."""
    return np.array(model.card.notes["company"], np.float32) if "company" in model.card.notes else None


def _stored(values: Mapping[str, Value], model: LatentModel) -> Floats | None:
    """Return the latents that a preset holds.

    Raises:
        StageError: they are not numbers, or not as many as the model's.
    """
    text = str(values.get("stored", ""))
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    if text and not (len(numbers) == model.latents and all(map(math.isfinite, numbers))):
        raise StageError(f"stored = {text[:40]!r}: expected {model.latents} numbers, one for each latent")
    return np.array(numbers, np.float32) if text else None
