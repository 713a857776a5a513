"""Parameter smoothing, so that a change makes no click: values that move in steps on a grid, and gains per sample.

Both depend on the count of samples only, never on block sizes: a stage built on them gives the same samples for a whole
file and for blocks of any sequence of sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, ParameterError, Value
from gramophone.realtime.stage import Audio

GRID = 32
"""Samples between two steps of a moving value."""

Amount = np.float32 | NDArray[np.float32]
"""One gain for a whole block, or `(frames,)` of them."""


class Ramps:
    """Parameter values that move to their targets in steps, at sample counts that are multiples of `grid`.

    A number moves over its parameter's `smoothing_ms`, linearly in the normalised value 0..1, so one with a log curve
    moves by ratios; the last step is the target exactly. Switches, texts and parameters without smoothing change at
    once. A target set during a move starts a new move from the current value. `rate` in Hz. `edition` is another number
    whenever a value may have changed.
    """

    def __init__(
        self, parameters: Iterable[Parameter], values: Mapping[str, Value], rate: int, grid: int = GRID
    ) -> None:
        self._parameters = {p.name: p for p in parameters}
        self._values = {name: values.get(name, p.default) for name, p in self._parameters.items()}
        self._moves: dict[str, _Move] = {}
        self._grid = grid
        self._steps = {
            name: round(p.smoothing_ms * rate / 1000 / grid) if p.is_number else 0
            for name, p in self._parameters.items()
        }
        self._count = 0
        self.edition = 0

    @property
    def moving(self) -> bool:
        """Whether any value has not reached its target."""
        return bool(self._moves)

    def set(self, name: str, value: Value) -> None:
        """Set the target of a parameter; the move begins with the next sample.

        Raises:
            ParameterError: there is no such parameter.
        """
        steps = self._steps.get(name)
        if steps is None:
            raise ParameterError(f"{name}: expected one of {', '.join(self._parameters)}")
        self.edition += 1
        now = self._values[name]
        if steps and value != now:
            self._moves[name] = _Move(self._parameters[name], float(now), float(value), steps)
        else:
            self._moves.pop(name, None)
            self._values[name] = value

    def segments(self, frames: int) -> Iterator[tuple[int, int, Mapping[str, Value]]]:
        """Yield `(start, stop, values)`: runs of constant values that cover the next `frames` samples.

        One run covers everything when nothing moves. Exhaust the iterator: only yielded samples are counted.
        """
        start = 0
        while start < frames:
            into_grid = self._count % self._grid
            if self._moves and into_grid == 0:
                self._step()
            stop = min(frames, start + self._grid - into_grid) if self._moves else frames
            self._count += stop - start
            yield start, stop, self._values
            start = stop

    def _step(self) -> None:
        self.edition += 1
        for name, move in list(self._moves.items()):
            self._values[name] = move.step()
            if move.arrived:
                del self._moves[name]


class _Move:
    """A move from a value to a target in equal steps of the normalised value."""

    def __init__(self, parameter: Parameter, value: float, target: float, steps: int) -> None:
        self._parameter = parameter
        self._target = target
        self._from, self._to = parameter.to_0to1(value), parameter.to_0to1(target)
        self._done, self._steps = 0, steps

    @property
    def arrived(self) -> bool:
        return self._done == self._steps

    def step(self) -> float:
        self._done += 1
        if self.arrived:  # exactly: the conversion to 0..1 and back may round
            return self._target
        return self._parameter.from_0to1(self._from + (self._to - self._from) * self._done / self._steps)


class Fade:
    """A gain that moves to its target linearly over `samples` samples.

    The k-th sample after `set` (k = 1, 2, …) has `start + (target - start) * k / samples`.
    """

    def __init__(self, value: float, samples: int) -> None:
        self.samples = max(1, samples)
        self._start = self._target = value
        self._done = self.samples

    @property
    def left(self) -> int:
        """Samples until the target is reached; 0 if it is."""
        return self.samples - self._done

    @property
    def target(self) -> float:
        """The gain that is moved to, or has been reached."""
        return self._target

    def set(self, target: float) -> None:
        """Move to `target` from the current gain; no effect if that is the target already."""
        if target == self._target:
            return
        self._start = self._start + (self._target - self._start) * self._done / self.samples
        self._target = target
        self._done = 0

    def next(self, frames: int) -> Amount:
        """Return the gains of the next `frames` samples: one number at rest, else float32 `(frames,)`."""
        if self._done == self.samples:
            return np.float32(self._target)
        k = np.arange(self._done + 1, self._done + frames + 1)
        self._done = min(self.samples, self._done + frames)
        gains = self._start + (self._target - self._start) * (k / self.samples)
        gains[k >= self.samples] = self._target
        return gains.astype(np.float32)


def crossfade(dry: Audio, wet: Audio, amount: Amount) -> Audio:
    """Return `dry` where `amount` is 0, `wet` where it is 1, both bit for bit, the straight mix in between.

    `dry`, `wet` and the result `(channels, frames)`. At rest at an end the array itself comes back, no copy.
    """
    if amount.ndim == 0:
        if amount == 0:
            return dry
        if amount == 1:
            return wet
    # two products rather than dry + amount * (wet - dry), which would not arrive at `wet` exactly
    mixed: Audio = dry * (np.float32(1) - amount) + wet * amount
    return mixed
