"""A delay effect whose time, feedback and level change without a click.

At rest it computes what pedalboard's Delay does, sample for sample. A change of pedalboard's parameters makes a step,
and a step in the feedback is stored in the line and repeated: no fade after the effect can remove it. Here the fades
lie inside the loop.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.stage import Audio, Format, Stage, StageError


class DelayStage(Stage):
    """A delay line with feedback, `line = x + feedback * line[-time]`; output: `x` and `line[-time]` mixed by `wet`.

    Its `parameters` are `time` in ms, `feedback` and `wet`. A new time is a crossfade between two taps.
    """

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        parameters = {p.name: p for p in self.parameters}
        self._targets = {name: float(values.get(name, p.default)) for name, p in parameters.items()}
        self._rate = form.rate
        self._size = self._samples(parameters["time"].range[1]) + 8192
        self._line = np.zeros((form.channels, self._size), np.float32)
        self._at = 0

        def fade(name: str, value: float) -> Fade:
            return Fade(value, self._samples(parameters[name].smoothing_ms))

        self._feedback = fade("feedback", self._targets["feedback"])
        self._wet = fade("wet", self._targets["wet"])
        self._tap_fade = fade("time", 1.0)
        self._old = self._new = self._samples(self._targets["time"])

    def set(self, name: str, value: Value) -> None:
        """Set a target, effective from the next block on; a new time once the fade to the last one is over.

        Raises:
            StageError: there is no such parameter.
        """
        if name not in self._targets:
            raise StageError(f"delay: no parameter {name!r}, expected one of {', '.join(self._targets)}")
        self._targets[name] = float(value)
        self._feedback.set(self._targets["feedback"])
        self._wet.set(self._targets["wet"])

    def process(self, block: Audio) -> Audio:
        """Return the mix of the sound and its echoes for `block`, both `(channels, frames)`."""
        out = np.empty_like(block)
        start, frames = 0, block.shape[1]
        while start < frames:
            self._fade_to_tap(self._samples(self._targets["time"]))
            stop = start + self._run_length(frames - start)
            out[:, start:stop] = self._process_run(block[:, start:stop])
            start = stop
        return out

    def _samples(self, ms: float) -> int:
        return round(ms * self._rate / 1000)

    def _fade_to_tap(self, time: int) -> None:
        """Start the fade to another tap unless one is under way."""
        if time != self._new and not self._tap_fade.left:
            self._old, self._new = self._new, time
            self._tap_fade = Fade(0.0, self._tap_fade.samples)
            self._tap_fade.set(1.0)

    def _run_length(self, frames: int) -> int:
        """Return for how many samples taps and line are contiguous in memory and no fade ends."""
        ends = [self._size - position for position in (self._at, self._tap(self._old), self._tap(self._new))]
        return min(frames, self._old, self._new, self._tap_fade.left or frames, *ends)

    def _tap(self, time: int) -> int:
        return (self._at - time) % self._size

    def _process_run(self, block: Audio) -> Audio:
        frames = block.shape[1]
        echo = self._line[:, self._tap(self._new) :][:, :frames]
        if self._tap_fade.left:
            old = self._line[:, self._tap(self._old) :][:, :frames]
            echo = crossfade(old, echo, self._tap_fade.next(frames))
        if not self._tap_fade.left:
            self._old = self._new
        self._line[:, self._at : self._at + frames] = block + self._feedback.next(frames) * echo
        self._at = (self._at + frames) % self._size
        return crossfade(block, echo, self._wet.next(frames))
