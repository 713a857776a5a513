"""Effects without a memory: gain, phase turned by 180 degrees, and peaks cut off."""

from __future__ import annotations

from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import contents
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.effects.kernel import EffectKernel, exact, gain_of

_F = np.float32


@exact
def _scale(bound: Any, block: Floats, output: Floats) -> None:
    (gain,) = contents(bound)
    for channel in range(len(block)):
        x, y = block[channel], output[channel]
        for i in range(len(x)):
            y[i] = x[i] * gain[0]


@exact
def _clip(bound: Any, block: Floats, output: Floats) -> None:
    (limit,) = contents(bound)
    for channel in range(len(block)):
        x, y = block[channel], output[channel]
        for i in range(len(x)):
            y[i] = min(max(x[i], -limit[0]), limit[0])


class Scale(EffectKernel):
    """pedalboard's Gain and Invert."""

    kernel = staticmethod(_scale)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the gain `(1,)`."""
        self._gain = zeros(1)
        return (self._gain,), ()

    def update(self) -> None:
        """Compute the gain."""
        self._gain[0] = gain_of(self.number("gain")) if "gain" in self.values else -1


class Clip(EffectKernel):
    """pedalboard's Clipping."""

    kernel = staticmethod(_clip)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the limit `(1,)`."""
        self._limit = zeros(1)
        return (self._limit,), ()

    def update(self) -> None:
        """Compute the limit."""
        self._limit[0] = gain_of(self.number("threshold"))
