"""The WaveNet stage: a trained model as an instrument, which sings by itself or when something comes in.

[[stages]]
name = "voice"
kind = "wavenet"
model = "garble"           # one of Gramophone's models by name, or a .safetensors file beside the preset
speaker = "anna"

What comes in only opens the gate, so there is nothing to wait for: the model is played ahead, and the delay is 0. It
sings with one voice, the same on all channels, and is computed where the sound is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gramophone.models.parameters import Parameter, Value
from gramophone.presets.models import SUFFIX
from gramophone.realtime.dsp.smoothing import Fade, Ramps
from gramophone.realtime.stage import Audio, Format, Keys, Stage, StageError
from gramophone.realtime.stages.model_path import model_path
from gramophone.realtime.stages.speaker_blend import speaker_knobs, speaker_weights
from gramophone.realtime.stages.wavenet.envelope_follower import EnvelopeFollower

if TYPE_CHECKING:
    from gramophone.models.checkpoint import Card
    from gramophone.models.nets.wavenet import WaveNet
    from gramophone.realtime.kernels.arrays import Floats

_FADE_S = 0.02
_SUNG = (
    Parameter("temperature", 1.0, "how freely it sings: 0 always the likeliest, above 1 wilder", range=(0, 2)),
    Parameter("nucleus", 1.0, "how much of what is likely is drawn from: less leaves out the least likely"),
    Parameter("seed", 0.0, "another number sings another line", range=(0, 9999), smoothing_ms=0),
)
_HEARD = (
    Parameter("gate", 0.0, "how far what comes in decides what is heard: 0 it sings by itself, 1 only then"),
    Parameter("threshold", -30.0, "what must come in for the gate to be open", "dB", (-80, 0), smoothing_ms=0),
    Parameter("attack", 5.0, "how fast the gate opens", "ms", (0.1, 200), "log", smoothing_ms=0),
    Parameter("release", 150.0, "how fast the gate closes", "ms", (5, 2000), "log", smoothing_ms=0),
    Parameter("level", 0.0, "louder or softer", "dB", (-40, 24)),
)


class WaveNetStage(Stage):
    """Sings with a model; from the same seed always the same, however the sound is cut into blocks.

    Raises:
        StageError: the model cannot be used.
    """

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return the knobs, with the model's speakers to choose from, and where the model is.

        Raises:
            StageError: there is no such model, or it is of another kind.
        """
        from gramophone.models.checkpoint import CheckpointError, card_of, kind_of

        model = str(values.get("model", ""))
        path = model_path(model, folder)
        try:
            if kind_of(path) != "wavenet":
                raise StageError(f"{path}: a {kind_of(path)} model; expected wavenet")
            knobs = _knobs(card_of(path))
        except CheckpointError as error:
            raise StageError(str(error)) from None
        return Keys(knobs, {"model": str(path) if model.endswith(SUFFIX) else model})

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        from gramophone.realtime.dsp.resampler import Resampler
        from gramophone.realtime.stages.wavenet.sampler import Sampler

        model, card = _loaded(model_path(str(values.get("model", ""))))
        self._speakers = _Speakers(model, card)
        knobs = _knobs(card)
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in knobs}
        self._sung = Ramps([knob for knob in knobs if knob not in _HEARD], self._values, form.rate)
        device = "cuda" if form.device == "cuda" else "cpu"
        Sampler(model, device=device).generate(1, self._speakers.conditions(self._values))  # compiled now, not later
        self._seed = round(float(self._values["seed"]))
        self._sampler = Sampler(model, seed=self._seed, device=device)
        self._resampler = Resampler(card.rate, form.rate)
        self._follower = EnvelopeFollower(form.rate)
        samples = round(_FADE_S * form.rate)
        self._level, self._gate = Fade(self._gain(), samples), Fade(float(self._values["gate"]), samples)

    def set(self, name: str, value: Value) -> None:
        """Turn a knob, heard from the next block on.

        Raises:
            StageError: `name` is not a knob but says what the stage is made of.
        """
        if name == "model":
            raise StageError("model says what the stage is made of: it changes with the preset, not while it plays")
        self._values[name] = value
        if name == "level":
            self._level.set(self._gain())
        elif name == "gate":
            self._gate.set(float(value))
        elif all(name != knob.name for knob in _HEARD):
            self._sung.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return what is sung while `block` comes in: `(channels, frames)` both."""
        frames = block.shape[1]
        sung = np.empty(frames, np.float32)
        for start, stop, values in self._sung.segments(frames):
            sung[start:stop] = self._sing(stop - start, values)
        knobs = (float(self._values[name]) for name in ("threshold", "attack", "release"))
        opened = self._follower.gains(np.abs(block).max(axis=0), *knobs)
        gate = self._gate.next(frames)
        heard = sung * self._level.next(frames) * (1 - gate + gate * opened)
        return np.repeat(heard[None].astype(np.float32), len(block), axis=0)

    def _sing(self, frames: int, values: Mapping[str, Value]) -> Floats:
        seed = round(float(values["seed"]))
        if seed != self._seed:
            self._seed = seed
            self._sampler.seed(seed)
        made = self._sampler.generate(
            self._resampler.required_inputs(frames),
            self._speakers.conditions(values),
            float(values["temperature"]),
            float(values["nucleus"]),
        )
        return self._resampler.process(made[0], frames)

    def _gain(self) -> float:
        return float(10 ** (float(self._values["level"]) / 20))


class _Speakers:
    """A model's conditions for what the knobs say of speakers.

    Raises:
        StageError: the model is told more than who speaks.
    """

    def __init__(self, model: WaveNet, card: Card) -> None:
        if model.shape.local or model.shape.vector:
            raise StageError(
                "the model is told more than who speaks; expected one that needs only a speaker, or nothing"
            )
        self._names = card.speakers
        self._table = model.conditions.table.detach().numpy() if model.shape.speakers else None

    def conditions(self, values: Mapping[str, Value]) -> Floats | None:
        """Return `(1, C, 1)`: `speaker`'s vector, `blend` of the way to `speaker2`'s."""
        if self._table is None:
            return None
        mixed: Floats = speaker_weights(self._names, values) @ self._table
        return mixed[None, :, None]


def _knobs(card: Card) -> tuple[Parameter, ...]:
    return (*speaker_knobs(card.speakers), *_SUNG, *_HEARD)


def _loaded(path: Path) -> tuple[WaveNet, Card]:
    from gramophone.models.checkpoint import CheckpointError, load
    from gramophone.models.nets.wavenet import WaveNet

    try:
        model, card = load(path, "wavenet")
    except CheckpointError as error:
        raise StageError(str(error)) from None
    assert isinstance(model, WaveNet)
    return model, card
