"""The voice stage: what is said comes out in another's voice, anybody's of whom there are some seconds.

[[stages]]
name = "voice"
kind = "voice"
target = "ann.wav"         # or the name of a voice that `gramophone enrol` has kept
range = "free"

It is mono inside (`realtime/stages/latent/voice_hops.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gramophone.models.checkpoint import Card, CheckpointError, card_of, kind_of
from gramophone.models.parameters import Value
from gramophone.realtime.stage import Audio, Format, Keys, Parts, StageError, refuse_setting
from gramophone.realtime.stages.background import Background, BackgroundStage
from gramophone.realtime.stages.speaker_blend import MODEL_SETTINGS, model_of, model_settings, speaker_weights
from gramophone.realtime.stages.voice.parameters import TARGET, parameters_of

if TYPE_CHECKING:
    from gramophone.realtime.dsp.rate_adapter import Finish
    from gramophone.realtime.kernels.arrays import Floats
    from gramophone.realtime.stages.voice.target import EnrolledTarget

Found = tuple["EnrolledTarget | None"]
"""The target, or that there is none."""
_LOG = logging.getLogger(__name__)
_KIND = "anyone"
_SETTINGS = (*MODEL_SETTINGS, "quick", "kept")


class VoiceStage(BackgroundStage["Found"]):
    """Plays its input in another's voice.

    Raises:
        StageError: the model cannot be used, the target's clip cannot be read, or a kept target is of another model.
    """

    kind = "voice"
    reduces = True
    compiles = True

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return the parameters, with the model's speakers by name, the settings, and the model's hop.

        Raises:
            StageError: there is no such model, it is of another kind, or a kept target does not fit it.
        """
        values = {"model": _KIND, **values}
        path = model_of(values, folder)
        card = _card(path)
        settings: dict[str, Value] = {**model_settings(values, path)}
        settings |= {key: values[key] for key in ("quick", "kept") if key in values}
        return Keys(parameters_of(card), settings, hop_s=card.hop / card.rate)

    @classmethod
    def parts(cls, form: Format, values: Mapping[str, Value]) -> Parts:
        """Return those of the converter, and the gate."""
        from gramophone.realtime.stages.latent.voice_hops import VoiceHops
        from gramophone.realtime.stages.prepared import prepared
        from gramophone.realtime.stages.voice.converter import VoiceConverter, parts_of_file

        parts = prepared(parts_of_file, model_of({"model": _KIND, **values}), False)
        return (*VoiceHops.parts(form.rate), *VoiceConverter.compiled_parts(parts))

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        from gramophone.realtime.stages.latent.voice_hops import VoiceHops
        from gramophone.realtime.stages.prepared import prepared
        from gramophone.realtime.stages.voice.converter import VoiceConverter, parts_of_file

        path = model_of({"model": _KIND, **values})
        self._card = _card(path)
        self._path = path
        knobs = parameters_of(self._card)
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in knobs}
        self._converter = converter = VoiceConverter(prepared(parts_of_file, path, values.get("quick") is True))
        self._hops = VoiceHops(form.rate, converter, knobs, self._values, self._weights)
        self.delay = self._hops.delay
        self._target: EnrolledTarget | None = None
        self._adopt(_found(path, str(self._values[TARGET]), str(values.get("kept", ""))))
        self.background = Background["Found"]("voice-target")

    def set(self, name: str, value: Value) -> None:
        """Set a parameter; it takes effect with the next frame. A new target's clip is analysed in the background.

        A clip that cannot be analysed is named in the log, and the old target stays.

        Raises:
            StageError: `name` is not a parameter but a setting of the stage.
        """
        refuse_setting(name, _SETTINGS)
        self._values[name] = value
        if name == TARGET:
            self.background.submit(partial(_found, self._path, str(value), ""))
        else:
            self._hops.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return the other's voice, `(channels, frames)` both, `delay` samples late."""
        self._collect()
        return self._hops.process(block, self._begin_hop)

    def read_reduction_db(self) -> float:
        """Return by how much its gate turns the input down now, in dB, 0 or less."""
        return self._hops.gain_db

    def snapshot(self) -> Mapping[str, Value]:
        """Return the target's voice as text, so that a preset does without the clip."""
        return {"kept": self._target.to_text()} if self._target else {}

    def _adopt(self, made: Found) -> None:
        (self._target,) = made
        self._hops.refresh()
        if self._target:
            self._converter.voices.set_target(self._target.voice)
            self._converter.refresh()

    def _begin_hop(self, sound: Floats) -> Finish:
        """Do the first half of a hop's work; return the second, with the parameters as they are now."""
        return partial(self._converter.convert, self._converter.measure(sound), *self._hops.next_values())

    def _weights(self, values: Mapping[str, Value]) -> Floats:
        """Return the weights of the known voices and, last, of the target."""
        share = np.float32(values["target-share"] if self._target else 0.0)
        return np.append(speaker_weights(self._card.speakers, values) * (1 - share), share)


def _card(path: Path) -> Card:
    try:
        found = kind_of(path)
        if found != _KIND:
            raise StageError(f"{path}: a {found} model; expected {_KIND}")
        return card_of(path)
    except CheckpointError as error:
        raise StageError(str(error)) from None


def _found(model: Path, text: str, kept: str) -> Found:
    """Return the target that a preset or a parameter names, if any, with what is to be said about it in the log.

    Raises:
        StageError: it cannot be read, or does not fit the model.
    """
    from gramophone.realtime.stages.voice.target import target_from_text, target_of

    if kept and (not text or kept.rpartition(": ")[0] in (Path(text).name, text)):
        return (target_from_text(kept, model),)
    if not text:
        return (None,)
    target = target_of(model, text)
    for words in target.warnings:
        _LOG.warning("voice: %s: %s", target.clip, words)
    return (target,)
