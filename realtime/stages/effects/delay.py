"""A delay effect whose time, feedback and level change without a click.

At rest it computes what pedalboard's Delay does, sample for sample. A change of pedalboard's parameters makes a step,
and a step in the feedback is stored in the line and repeated: no fade after the effect can remove it. Here the fades
lie inside the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stage import Audio, Format, Stage, StageError
from gramophone.realtime.stages.effects.kernel import exact, inner

_F = np.float32
_AT, _OLD, _NEW, _WANTED, _PLACES = range(5)
"""The place in the line that is written next; the taps that are faded from and to, and the one that is wanted, all in
samples. How many these are."""
_FEEDBACK, _WET, _TAP, _FADES = range(4)
"""What fades. How many these are."""
_START, _TARGET, _DONE, _SAMPLES, _FIELDS = range(5)
"""Of a fade, as in `dsp.smoothing.Fade`. How many these are."""


@inner
def _gain(fade: Any, ahead: int) -> Any:
    """Return the gain of a fade so many samples ahead, 1 for the next."""
    done = fade[_DONE] + ahead
    if done >= fade[_SAMPLES]:
        return _F(fade[_TARGET])
    return _F(fade[_START] + (fade[_TARGET] - fade[_START]) * (done / fade[_SAMPLES]))


@inner
def _mixed(dry: Any, wet: Any, amount: Any) -> Any:
    """Return the straight mix, at its ends one or the other bit for bit."""
    return dry if amount == _F(0) else wet if amount == _F(1) else dry * (_F(1) - amount) + wet * amount


@inner
def _play(line: Floats, x: Floats, y: Floats, places: Any, fades: Any, rests: bool) -> None:
    """Play a run of a channel, in which taps and line are contiguous in memory and no fade of the tap ends."""
    size, frames, at = len(line), len(x), places[_AT]
    old, new = (at - places[_OLD]) % size, (at - places[_NEW]) % size
    before, echo, written = line[old : old + frames], line[new : new + frames], line[at : at + frames]
    feedback, wet, tap = fades[_FEEDBACK], fades[_WET], fades[_TAP]
    if rests:
        back, amount = _F(feedback[_TARGET]), _F(wet[_TARGET])
        for i in range(frames):
            late = echo[i]
            written[i] = x[i] + back * late
            y[i] = _mixed(x[i], late, amount)
        return
    for i in range(frames):
        late = _mixed(before[i], echo[i], _gain(tap, i + 1))
        written[i] = x[i] + _gain(feedback, i + 1) * late
        y[i] = _mixed(x[i], late, _gain(wet, i + 1))


@exact
def _delay(bound: Any, block: Floats, output: Floats) -> None:
    line, places, fades = contents(bound)
    frames, size, tap = block.shape[1], line.shape[1], fades[_TAP]
    start = 0
    while start < frames:
        if places[_WANTED] != places[_NEW] and tap[_DONE] == tap[_SAMPLES]:
            places[_OLD], places[_NEW] = places[_NEW], places[_WANTED]
            tap[_START], tap[_TARGET], tap[_DONE] = 0, 1, 0
        at, old, new = places[_AT], places[_OLD], places[_NEW]
        run = min(frames - start, old, new, size - at, size - (at - old) % size, size - (at - new) % size)
        if tap[_DONE] < tap[_SAMPLES]:
            run = min(run, int(tap[_SAMPLES] - tap[_DONE]))
        rests = True
        for number in range(_FADES):
            rests = rests and fades[number, _DONE] == fades[number, _SAMPLES]
        for channel in range(len(block)):
            x, y = block[channel, start : start + run], output[channel, start : start + run]
            _play(line[channel], x, y, places, fades, rests)
        for number in range(_FADES):
            fades[number, _DONE] = min(fades[number, _SAMPLES], fades[number, _DONE] + run)
        if tap[_DONE] == tap[_SAMPLES]:
            places[_OLD] = places[_NEW]
        places[_AT] = (at + run) % size
        start += run


class DelayStage(Stage):
    """A delay line with feedback, `line = x + feedback * line[-time]`; output: `x` and `line[-time]` mixed by `wet`.

    Its `parameters` are `time` in ms, `feedback` and `wet`. A new time is a crossfade between two taps.
    """

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        parameters = {p.name: p for p in self.parameters}
        self._targets = {name: float(values.get(name, p.default)) for name, p in parameters.items()}
        self._rate = form.rate
        self._places, self._fades = np.zeros(_PLACES, np.int64), np.zeros((_FADES, _FIELDS))
        self._places[_OLD:] = self._samples(self._targets["time"])
        for fade, name in enumerate(("feedback", "wet", "time")):
            value, samples = (
                1.0 if name == "time" else self._targets[name],
                self._samples(parameters[name].smoothing_ms),
            )
            self._fades[fade] = value, value, max(1, samples), max(1, samples)
        line = zeros(form.channels, self._samples(parameters["time"].range[1]) + 8192)
        example = np.zeros((form.channels, 1), np.float32)
        self._play = bind(_delay, (line, self._places, self._fades), example, example)

    def set(self, name: str, value: Value) -> None:
        """Set a target, effective from the next block on; a new time once the fade to the last one is over.

        Raises:
            StageError: there is no such parameter.
        """
        if name not in self._targets:
            raise StageError(f"delay: no parameter {name!r}, expected one of {', '.join(self._targets)}")
        self._targets[name] = float(value)
        self._places[_WANTED] = self._samples(self._targets["time"])
        for fade, each in ((_FEEDBACK, "feedback"), (_WET, "wet")):
            start, target, done, samples = self._fades[fade].tolist()
            if self._targets[each] != target:
                self._fades[fade] = start + (target - start) * done / samples, self._targets[each], 0, samples

    def process(self, block: Audio) -> Audio:
        """Return the mix of the sound and its echoes for `block`, both `(channels, frames)`."""
        block = np.ascontiguousarray(block, np.float32)
        output = np.empty_like(block)
        self._play(block, output)
        return output

    def _samples(self, ms: float) -> int:
        return round(ms * self._rate / 1000)
