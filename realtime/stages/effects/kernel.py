"""An effect as one kernel of numba, which computes the very samples of pedalboard's class of that name.

pedalboard copies what comes in and goes out, locks, and hides its state. So a call costs 3 to 5 us beyond the sound,
and a second instance that a change could be faded to had to process all sound beside the first, as envelopes and
filters remember. Here that instance takes over the state of the first when the change comes.

Nothing is contracted, and all is rounded to float32 where JUCE rounds it: so the samples are the same to the bit, save
that the C library's tangent, which the filters of the first order need, is now and then rounded to its neighbour.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.kernels.bound import bind
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio, Format, StageError
from gramophone.realtime.stages.effects.table import EffectSpec

exact = partial(jit, forceinline=False, exact=True)
inner = partial(jit, exact=True)

SMALLEST = np.float32(1e-15)
"""States below it are set to zero after a block: -300 dBFS, where processors become slow with what is smaller yet."""


class EffectKernel(ABC):
    """An effect with parameter values. Call it with blocks `(channels, frames)`.

    `delay` is its latency in samples. `kernel` takes what `make_parts` returns, bound, then a block and where its
    output goes.

    Raises:
        StageError: the rate is none.
    """

    kernel: Callable[..., Any]
    delay = 0

    def __init__(self, effect: EffectSpec, form: Format, values: Mapping[str, Value]) -> None:
        if form.rate < 1:
            raise StageError(f"{effect.plugin} at {form.rate} Hz: expected a rate")
        self.values = dict(values)
        self._effect, self._form = effect, form
        self._converters = {knob.parameter.name: knob for knob in effect.knobs}
        parts, self._state = self.make_parts(form)
        self.update()
        example = np.zeros((form.channels, 1), np.float32)
        self._play = bind(type(self).kernel, parts, example, example)

    @abstractmethod
    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return what the kernel is bound to, and those of its arrays that are its state."""

    @abstractmethod
    def update(self) -> None:
        """Compute what the kernel works with from the values."""

    def __call__(self, block: Audio) -> Audio:
        """Return the effect's output for `block`, both `(channels, frames)`."""
        block = np.ascontiguousarray(block, np.float32)
        output = np.empty_like(block)
        self._play(block, output)
        return output

    def set(self, name: str, value: Value) -> None:
        """Set a value at once, without a fade."""
        self.values[name] = value
        self.update()

    def restart(self) -> None:
        """Clear the state."""
        for array in self._state:
            array[...] = 0

    def follow(self, other: EffectKernel) -> None:
        """Take over the state of another instance of the same effect: go on where that one is."""
        for array, others in zip(self._state, other._state, strict=True):
            array[...] = others

    def number(self, name: str) -> np.float32:
        """Return a value as pedalboard takes it."""
        converted: Any = self._converters[name].convert(self.values[name], self._form.rate)
        return np.float32(converted)


def rounded(function: Callable[[float], float], x: np.float32) -> np.float32:
    """Return a function of a number, rounded once: so the C library's are for float32, NumPy's are not."""
    return np.float32(function(float(x)))


def gain_of(decibels: np.float32) -> np.float32:
    """Return the gain of so many dB, computed as JUCE does."""
    return rounded(lambda power: 10.0**power, decibels * np.float32(0.05))
