"""The capture stage: an amplifier or pedal as Neural Amp Modeler captured it, from a `.nam` file.

[[stages]]
name = "amp"
kind = "nam"
model = "my-amp.nam"       # a path, seen from the preset's folder, or a model of the library by name
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.dsp.smoothing import Fade
from gramophone.realtime.stage import Audio, Format, Keys, Stage, StageError, refuse_setting
from gramophone.realtime.stages.speaker_blend import MODEL_SETTINGS, model_of, model_settings

if TYPE_CHECKING:
    from gramophone.realtime.dsp.rate_adapter import Finish, RateAdapter
    from gramophone.realtime.kernels.arrays import Floats
    from gramophone.realtime.stages.nam.capture import Capture
    from gramophone.realtime.stages.nam.lstm import LstmPlayer
    from gramophone.realtime.stages.nam.wavenet import WaveNetPlayer

_FADE_S = 0.02
_LOUDNESS_DB = -18.0
"""Loudness that captures are brought to, as in the plug-in of Neural Amp Modeler."""
_PARAMETERS = (
    Parameter("input", 0.0, "level that drives the capture", "dB", (-40, 40)),
    Parameter("output", 0.0, "louder or softer", "dB", (-40, 40)),
    Parameter("normalise", True, "bring every capture to one loudness, where its file tells its own"),
)


class NamStage(Stage):
    """Plays its input through a capture, each channel by itself.

    At the capture's own sample rate the stage has no delay; at others that of converting the rate there and back.

    Raises:
        StageError: the file cannot be used.
    """

    parameters = _PARAMETERS
    compiles = True

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return the parameters, and the settings.

        Raises:
            StageError: there is no such file, or it is no capture that can be played.
        """
        path = model_of(values, folder)
        _read(path)
        return Keys(_PARAMETERS, model_settings(values, path))

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        from gramophone.realtime.dsp.rate_adapter import RateAdapter

        capture = _read(model_of(values))
        self._loudness_db = capture.loudness_db
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in _PARAMETERS}
        samples = round(_FADE_S * form.rate)
        self._input, self._output = Fade(self._gain("input"), samples), Fade(self._output_gain(), samples)
        self._players = [_player(capture) for _ in range(form.channels)]
        self._adapters: list[RateAdapter] = []
        if form.rate != capture.rate:
            self._adapters = [RateAdapter(form.rate, capture.rate, 1, 0) for _ in range(form.channels)]
            self.delay = self._adapters[0].delay
        self.process(np.zeros((form.channels, 64), np.float32))  # compiled now, not in the first block

    def set(self, name: str, value: Value) -> None:
        """Set a parameter, effective from the next block on.

        Raises:
            StageError: `name` is not a parameter but a setting of the stage.
        """
        refuse_setting(name, MODEL_SETTINGS)
        self._values[name] = value
        self._input.set(self._gain("input"))
        self._output.set(self._output_gain())

    def process(self, block: Audio) -> Audio:
        """Return the captured sound of `block`, `(channels, frames)` both, `delay` samples late."""
        frames = block.shape[1]
        driven = np.asarray(block * self._input.next(frames), np.float32)
        output = np.empty_like(driven)
        for channel, samples in enumerate(driven):
            output[channel] = self._through(channel, samples)
        output *= self._output.next(frames)
        return output

    def _through(self, channel: int, samples: Floats) -> Floats:
        player = self._players[channel]
        if not self._adapters:
            return player.process(samples)

        def begin(converted: Floats) -> Finish:
            played = player.process(converted)
            return lambda: played

        return self._adapters[channel].process(samples, begin)

    def _gain(self, name: str) -> float:
        return float(10 ** (float(self._values[name]) / 20))

    def _output_gain(self) -> float:
        gain = self._gain("output")
        if self._values["normalise"] and self._loudness_db is not None:
            gain *= 10 ** ((_LOUDNESS_DB - self._loudness_db) / 20)
        return float(gain)


def _read(path: Path) -> Capture:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return _cached(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _cached(path: Path, changed_ns: int, size: int) -> Capture:
    """Return the capture of a file as it is at this time and size: a preset is checked more often than it is made."""
    from gramophone.realtime.stages.nam.capture import read_capture

    return read_capture(path)


def _player(capture: Capture) -> WaveNetPlayer | LstmPlayer:
    from gramophone.realtime.stages.nam.capture import LstmConfig
    from gramophone.realtime.stages.nam.lstm import LstmPlayer
    from gramophone.realtime.stages.nam.wavenet import WaveNetPlayer

    if isinstance(capture.config, LstmConfig):
        return LstmPlayer(capture.config, capture.weights)
    condition = cast("WaveNetPlayer", _player(capture.condition)) if capture.condition else None
    return WaveNetPlayer(capture.config, capture.weights, condition)
