"""The latent stage: what comes in is encoded, its latents are turned, and the model says it again.

[[stages]]
name = "voice"
kind = "latent"
model = "vlae"             # one of Gramophone's models by name, or a .safetensors file beside the preset
clip = "choir.flac"        # whose style the latents take
speaker = "anna"
z1-brightness = 0.5        # added to the first latent, if that is its name

In the middle it is mono: the channels' mean is encoded, and what the model says is heard on all of them.
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
from gramophone.presets.models import SUFFIX
from gramophone.realtime.dsp.smoothing import Fade, Ramps
from gramophone.realtime.stage import Audio, Format, Keys, StageError
from gramophone.realtime.stages.background import Background, BackgroundStage
from gramophone.realtime.stages.latent.codec import Codec, Frame, LatentModel
from gramophone.realtime.stages.latent.parameters import AIR, MOMENTS, knobs_of, latent_knobs
from gramophone.realtime.stages.latent.target_speaker import TargetSpeaker, ZeroShotCodec
from gramophone.realtime.stages.model_path import model_path
from gramophone.realtime.stages.speaker_blend import speaker_weights

if TYPE_CHECKING:
    from gramophone.realtime.kernels.arrays import Floats
    from gramophone.realtime.stages.latent.rate_adapter import Finish
    from gramophone.realtime.stages.latent.reference_clips import ReferenceClips

_LOG = logging.getLogger(__name__)
_CLIPS = ("clip", "clip2", "guest")
_SETTINGS = ("model", "stored", "met")


class LatentStage(BackgroundStage["ReferenceClips"]):
    """Plays what comes in through a latent model.

    Raises:
        StageError: the model cannot be used, a clip cannot be read, or what is stored does not fit the model.
    """

    kind = "latent"

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return the knobs, with the model's speakers and latents by name, where the model is, and its hop.

        Raises:
            StageError: there is no such model, it is of another kind, or what is stored does not fit it.
        """
        name = str(values.get("model", ""))
        model = LatentModel.of(model_path(name, folder))
        _stored(values, model)
        settings = {"model": str(model.path) if name.endswith(SUFFIX) else name}
        _met(values, model)
        settings |= {name: str(values[name]) for name in ("stored", "met") if name in values}
        return Keys(
            knobs_of(model.kind, model.card, model.latents),
            settings,
            hop_s=model.card.hop / model.card.rate,
        )

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        from gramophone.realtime.stages.latent.latent_transform import LatentTransform
        from gramophone.realtime.stages.latent.rate_adapter import RateAdapter
        from gramophone.realtime.stages.latent.speaker_moments import SpeakerMoments

        model = LatentModel.of(model_path(str(values.get("model", ""))))
        knobs = knobs_of(model.kind, model.card, model.latents)
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in knobs}
        self._speakers = model.card.speakers
        self._codec = codec = model.codec("cuda" if form.device == "cuda" else "cpu")
        self._bridge = RateAdapter(form.rate, codec.rate, codec.hop, codec.delay, codec.spare_s)
        self.delay = self._bridge.delay
        self._worked = False
        # On a grid of hops: knobs move from frame to frame.
        turned = [knob for knob in knobs if knob.name not in (*_CLIPS, AIR.name)]
        self._ramps = Ramps(turned, self._values, codec.rate, codec.hop)
        self._air = Fade(float(self._values[AIR.name]), round(AIR.smoothing_ms * form.rate / 1000))
        self._likeness = SpeakerMoments(model.card) if MOMENTS in model.card.notes else None
        self._target: TargetSpeaker | None = None
        clips = _learn(codec, self._values, _met(values, model))
        self._meet(clips.target)
        self._transform = LatentTransform(
            _latents(model), codec.hop / codec.rate, clips, _stored(values, model), _company(model)
        )
        self.background = Background["ReferenceClips"]("latent-learner")

    def set(self, name: str, value: Value) -> None:
        """Turn a knob, heard from the next frame on. A new clip is learnt in the background.

        A clip that cannot be learnt is named in the log, and the old one stays.

        Raises:
            StageError: `name` is not a knob but says what the stage is made of.
        """
        if name in _SETTINGS:
            raise StageError(f"{name} says what the stage is made of: it changes with the preset, not while it plays")
        self._values[name] = value
        if name in _CLIPS:
            self.background.ask(partial(_learn, self._codec, dict(self._values), self._target))
        elif name == AIR.name:
            self._air.set(float(value))
        else:
            self._ramps.set(name, value)
        if name == "store" and value:
            self._transform.store()

    def process(self, block: Audio) -> Audio:
        """Return what the model says, `(channels, frames)` both, `delay` samples late."""
        self._look()
        mono = block[0] if len(block) == 1 else np.asarray(block.mean(axis=0), np.float32)
        self._worked = False
        said = self._bridge.process(mono, self._hear, self._air.next(len(mono)))
        if not self._worked:
            self._codec.prepare()
        return np.repeat(said[None], len(block), axis=0)

    def snapshot(self) -> Mapping[str, Value]:
        """Return the latents that are stored and who is a guest, each as a text."""
        stored = self._transform.stored
        kept: dict[str, Value] = {} if stored is None else {"stored": " ".join(f"{number:.6g}" for number in stored)}
        return kept | {"met": self._target.text()} if self._target else kept

    def _enter(self, made: ReferenceClips) -> None:
        self._transform.teach(made)
        self._meet(made.target)

    def _meet(self, target: TargetSpeaker | None) -> None:
        """Sing as a guest, or no longer."""
        if target and target is not self._target:
            cast("ZeroShotCodec", self._codec).welcome(target)
            if self._likeness:
                self._likeness.welcome(target)
        self._target = target

    def _hear(self, sound: Floats) -> Finish:
        """Take one hop through the first half of the model; return the second, with the knobs as they are now."""
        self._worked = True
        ((_, _, values),) = self._ramps.segments(len(sound))
        weights = self._weights(values)
        usual = self._likeness.of(weights) if self._likeness and values["likeness"] else None
        frame = self._transform.process(self._codec.analyse(sound), values, usual)
        return partial(self._say, frame, weights, dict(values))

    def _say(self, frame: Frame, weights: Floats, values: Mapping[str, Value]) -> Floats:
        self._worked = True
        return self._codec.synthesise(frame, weights, values)

    def _weights(self, values: Mapping[str, Value]) -> Floats:
        """Return how much of each speaker is heard and, where the model can have one, last of the guest."""
        weights = speaker_weights(self._speakers, values)
        if "guest-share" not in values:
            return weights
        share = np.float32(values["guest-share"] if self._target else 0.0)
        return np.append(weights * (1 - share), share)


def _learn(codec: Codec, values: Mapping[str, Value], known: TargetSpeaker | None) -> ReferenceClips:
    from gramophone.realtime.stages.latent.reference_clips import ReferenceClips

    clips = ReferenceClips.learn(codec, values, known)
    for remark in clips.remarks:
        _LOG.warning("latent: %s", remark)
    return clips


def _met(values: Mapping[str, Value], model: LatentModel) -> TargetSpeaker | None:
    """Return the guest that a preset holds.

    Raises:
        StageError: it does not fit the model.
    """
    text = str(values.get("met", ""))
    return TargetSpeaker.of_text(text, numbers_of(model.path)) if text else None


def _latents(model: LatentModel) -> tuple[str, ...]:
    return latent_knobs(model.card, model.latents)


def _company(model: LatentModel) -> Floats | None:
    """Return what turning each latent by one adds to all, where the model's card says it."""
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
