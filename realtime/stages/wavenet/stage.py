"""The WaveNet stage: a trained model as an instrument, which plays by itself or when the input opens its gate.

[[stages]]
name = "voice"
kind = "wavenet"
model = "garble"           # one of Gramophone's models by name, or a .safetensors file beside the preset
speaker = "anna"

The input only opens the gate, so the model's output can be computed ahead and the delay is 0. One voice plays on all
channels, computed on the audio thread.

The gate of the WaveNet stage: an envelope follower on the input controls the gain of the output.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from gramophone.models.parameters import Parameter, Value, grouped
from gramophone.realtime.dsp.smoothing import Fade, Ramps
from gramophone.realtime.stage import Audio, Format, Keys, Stage, StageError, refuse_setting
from gramophone.realtime.stages.speaker_blend import (
    MODEL_SETTINGS,
    model_of,
    model_settings,
    speaker_knobs,
    speaker_weights,
)

if TYPE_CHECKING:
    from gramophone.models.checkpoint import Card
    from gramophone.models.nets.wavenet import WaveNet
    from gramophone.realtime.kernels.arrays import Floats
    from gramophone.realtime.stages.wavenet.engines import WaveNetParts


from math import exp

from numpy.typing import NDArray

from gramophone.realtime.dsp.smoothing import GRID


class EnvelopeFollower:
    """Gains for each sample from the level of the input, at `rate` Hz.

    At every `GRID`-th sample the envelope moves towards the peak since the last, and over the next `GRID` samples the
    gain moves to the envelope's: 1 above the threshold, and 2 dB less for each dB below it.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._into = 0
        self._peak = self._envelope = 0.0
        self._start_gain = self._end_gain = 0.0

    def gains(
        self, peaks: NDArray[np.float32], threshold_db: float, attack_ms: float, release_ms: float
    ) -> NDArray[np.float32]:
        """Return a gain for each sample of `peaks`, the largest absolute value over the channels, both `(frames,)`."""
        gains = np.empty(len(peaks), np.float32)
        start = 0
        while start < len(peaks):
            stop = min(len(peaks), start + GRID - self._into)
            steps = np.arange(self._into + 1, self._into + 1 + stop - start) / GRID
            gains[start:stop] = self._start_gain + (self._end_gain - self._start_gain) * steps
            self._peak = max(self._peak, float(peaks[start:stop].max()))
            self._into += stop - start
            start = stop
            if self._into == GRID:
                self._update(10 ** (threshold_db / 20), attack_ms, release_ms)
        return gains

    def _update(self, threshold: float, attack_ms: float, release_ms: float) -> None:
        time_ms = attack_ms if self._peak > self._envelope else release_ms
        self._envelope += (self._peak - self._envelope) * (1 - exp(-1000 * GRID / (self._rate * time_ms)))
        self._start_gain, self._end_gain = self._end_gain, min(1.0, self._envelope / threshold) ** 2
        self._into, self._peak = 0, 0.0


_FADE_S = 0.02
_SAMPLING = grouped(
    "chance",
    Parameter("temperature", 1.0, "of the random draw: 0 always the likeliest, above 1 wilder", range=(0, 2)),
    Parameter("nucleus", 1.0, "probability mass that is drawn from: less leaves out the least likely"),
    Parameter("seed", 0.0, "seed of the random draw: another number, another line", range=(0, 9999), smoothing_ms=0),
)
_GATE = grouped(
    "gate",
    Parameter("gate", 0.0, "how far the input gates the output: 0 it plays by itself, 1 only with input"),
    Parameter("threshold", -30.0, "input level above which the gate is open", "dB", (-80, 0), smoothing_ms=0),
    Parameter("attack", 5.0, "how fast the gate opens", "ms", (0.1, 200), "log", smoothing_ms=0),
    Parameter("release", 150.0, "how fast the gate closes", "ms", (5, 2000), "log", smoothing_ms=0),
    Parameter("level", 0.0, "louder or softer", "dB", (-40, 24)),
)


class WaveNetStage(Stage):
    """Samples a model; a seed gives the same sound for any block sizes.

    Raises:
        StageError: the model cannot be used.
    """

    compiles = True

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return the parameters, with the model's speakers to choose from, and the settings.

        Raises:
            StageError: there is no such model, or it is of another kind.
        """
        path = model_of(values, folder)
        return Keys(_knobs(_card(path)), model_settings(values, path))

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        from gramophone.realtime.dsp.resampler import Resampler
        from gramophone.realtime.stages.prepared import prepared
        from gramophone.realtime.stages.wavenet.sampler import Sampler

        path = model_of(values)
        card, device = _card(path), "cuda" if form.device == "cuda" else "cpu"
        parts = prepared(_parts_of, path)
        model = parts.sampler if device == "cpu" else _network(path)
        self._speakers = _Speakers(card.speakers, parts.table)
        knobs = _knobs(card)
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in knobs}
        self._sampling = Ramps([knob for knob in knobs if knob not in _GATE], self._values, form.rate)
        conditions = self._speakers.conditions(self._values)
        Sampler(model, device=device).generate(1, conditions)  # compiled now, not in the first block
        self._seed = round(float(self._values["seed"]))
        self._sampler = Sampler(model, seed=self._seed, device=device)
        self._resampler = Resampler(card.rate, form.rate)
        self._follower = EnvelopeFollower(form.rate)
        samples = round(_FADE_S * form.rate)
        self._level, self._gate = Fade(self._gain(), samples), Fade(float(self._values["gate"]), samples)

    def set(self, name: str, value: Value) -> None:
        """Set a parameter, effective from the next block on.

        Raises:
            StageError: `name` is not a parameter but a setting of the stage.
        """
        refuse_setting(name, MODEL_SETTINGS)
        self._values[name] = value
        if name == "level":
            self._level.set(self._gain())
        elif name == "gate":
            self._gate.set(float(value))
        elif all(name != knob.name for knob in _GATE):
            self._sampling.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return the model's sound, gated by `block`, `(channels, frames)` both."""
        frames = block.shape[1]
        generated = np.empty(frames, np.float32)
        for start, stop, values in self._sampling.segments(frames):
            generated[start:stop] = self._generate(stop - start, values)
        knobs = (float(self._values[name]) for name in ("threshold", "attack", "release"))
        envelope_gains = self._follower.gains(np.abs(block).max(axis=0), *knobs)
        gate = self._gate.next(frames)
        output = generated * self._level.next(frames) * (1 - gate + gate * envelope_gains)
        return np.repeat(output[None].astype(np.float32), len(block), axis=0)

    def _generate(self, frames: int, values: Mapping[str, Value]) -> Floats:
        seed = round(float(values["seed"]))
        if seed != self._seed:
            self._seed = seed
            self._sampler.seed(seed)
        samples = self._sampler.generate(
            self._resampler.required_inputs(frames),
            self._speakers.conditions(values),
            float(values["temperature"]),
            float(values["nucleus"]),
        )
        return self._resampler.process(samples[0], frames)

    def _gain(self) -> float:
        return float(10 ** (float(self._values["level"]) / 20))


class _Parts(NamedTuple):
    """What the stage takes of a model: what samples it, and the speakers' vectors `(speakers, C)`, if there are any."""

    sampler: WaveNetParts
    table: Floats | None


class _Speakers:
    """A model's conditions for a blend of its speakers, by their names and vectors."""

    def __init__(self, names: tuple[str, ...], table: Floats | None) -> None:
        self._names, self._table = names, table

    def conditions(self, values: Mapping[str, Value]) -> Floats | None:
        """Return the blend of the speakers' vectors, `(1, C, 1)`, or None for a model without speakers."""
        if self._table is None:
            return None
        mixed: Floats = speaker_weights(self._names, values) @ self._table
        return mixed[None, :, None]


def _knobs(card: Card) -> tuple[Parameter, ...]:
    return (*speaker_knobs(card.speakers), *_SAMPLING, *_GATE)


def _card(path: Path) -> Card:
    from gramophone.models.checkpoint import CheckpointError, card_of, kind_of

    try:
        if kind_of(path) != "wavenet":
            raise StageError(f"{path}: a {kind_of(path)} model; expected wavenet")
        return card_of(path)
    except CheckpointError as error:
        raise StageError(str(error)) from None


def _network(path: Path) -> WaveNet:
    from gramophone.models.checkpoint import CheckpointError, load

    try:
        return cast("WaveNet", load(path, "wavenet")[0])
    except CheckpointError as error:
        raise StageError(str(error)) from None


def _parts_of(path: Path) -> _Parts:
    """Return what the stage takes of a model.

    Raises:
        StageError: the model cannot be used, or has other conditions than the speaker.
    """
    from gramophone.realtime.stages.wavenet.engines import parts_of

    model = _network(path)
    if model.shape.local or model.shape.vector:
        raise StageError("the model has other conditions than the speaker; expected a speaker only, or no conditions")
    return _Parts(parts_of(model), model.conditions.table.detach().numpy() if model.shape.speakers else None)
