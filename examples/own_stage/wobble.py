"""A stage of your own: the level goes up and down, at a rate and depth that OSC, MIDI, presets and the page can set."""

from collections.abc import Mapping

import numpy as np

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.dsp.smoothing import Ramps
from gramophone.realtime.stage import Audio, Format, Stage


class WobbleStage(Stage):
    """Multiplies the sound by a slow sine. What it does depends on the count of samples, never on the blocks."""

    parameters = (
        Parameter("rate", 5.0, "how often the level goes up and down", "Hz", (0.1, 20.0), "log"),
        Parameter("depth", 0.5, "how far down"),
    )

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        self._rate, self._phase = form.rate, 0.0
        self._ramps = Ramps(self.parameters, values, form.rate)

    def set(self, name: str, value: Value) -> None:
        """Move a parameter to `value`, smoothed."""
        self._ramps.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return the block, `(channels, frames)`, with its level moving."""
        output = np.empty_like(block)
        for start, stop, values in self._ramps.segments(block.shape[1]):
            step = 2 * np.pi * float(values["rate"]) / self._rate
            phases = self._phase + step * np.arange(1, stop - start + 1)
            gains = 1 - float(values["depth"]) * (0.5 + 0.5 * np.sin(phases))
            output[:, start:stop] = block[:, start:stop] * gains.astype(np.float32)
            self._phase = float(phases[-1] % (2 * np.pi))
        return output
