"""A rate adapter: blocks at the host's sample rate for a function that works hop by hop at a model's rate.

Derivation of the least delay. The output sample `n` of the adapter must not need input beyond `n + delay`, for every
`n`. Going back from it:

1. The upsampler computes `n` from samples of the model's output up to `up.newest_input(n)`.
2. The model's output lags its input by `inner_delay` samples, which are dropped at the start so that both are aligned:
   that sample is number `up.newest_input(n) + inner_delay` of what the model has produced.
3. The model works in hops, so the hop that holds this sample must be complete: up to `i - i mod hop + hop - 1`.
4. The downsampler computes that sample of the model's input from input samples up to `down.newest_input(...)`.

So `delay = max over n of (down.newest_input(...) - n)`. All steps repeat when a hop and an output sample begin together
again, after `rate * hop / gcd(inner_rate, rate * hop)` output samples, so the maximum over one such period is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.dsp.resampler import RateConversion, interpolate
from gramophone.realtime.dsp.smoothing import Amount
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit

Finish = Callable[[], Floats]
"""The second half of a hop's work; it returns the hop's output, `(hop,)`."""
_NO_AIR = np.float32(0)
_USUAL_FRAMES = 2048
"""There is room for blocks of so many frames at first; a longer one makes it more."""
_X, _M, _Y = 0, 2, 4
"""In `counts`, of the input, the model's input and its output: the number of the first sample that is kept, and how
many there have been in all."""
_MADE, _RETURNED, _BEGUN, _TO_DROP, _COUNTS = range(6, 11)


class RateAdapter:
    """Blocks of one channel at `rate` Hz, of any lengths, through a function at `inner_rate` Hz, and back.

    The function maps hops of `hop` samples to hops whose content is `inner_delay` samples late, at `inner_rate`. The
    adapter's `delay`, in samples at `rate`, is the least at which no block ever lacks output (derivation above). Both
    resampling filters are included, so input and output are aligned to the sample.

    The function works in two halves, of which the second may be deferred to a later block to spread the work. For
    blocks of up to `deferral_s` seconds to be able to wait for one another, the delay is longer by that; with 0 it
    never waits. `has_time` says after a block that the next of its length will have more to do than this one, so that
    what can be done ahead should be done now.
    """

    def __init__(self, rate: int, inner_rate: int, hop: int, inner_delay: int, deferral_s: float = 0.0) -> None:
        self._down, self._up = RateConversion(rate, inner_rate), RateConversion(inner_rate, rate)
        self._rates = rate, inner_rate
        self._hop = hop
        self._deferral = math.ceil(deferral_s * rate)
        self.delay = self._least_delay(rate, inner_rate, inner_delay) + self._deferral
        self.has_time = True
        self._deferred: list[Finish] = []
        self._begun = 0
        self._spare = self.delay
        self._plan = np.array([self.delay, *self._down.ratio, *self._up.ratio, len(self._up.weights[0]) // 2], np.int64)
        self._counts = np.zeros(_COUNTS, np.int64)
        self._counts[_TO_DROP] = inner_delay
        self._buffers = [np.zeros(0, np.float32)] * 3
        self._make_room(_USUAL_FRAMES)

    def process(self, block: Floats, begin: Callable[[Floats], Finish], air: Amount = _NO_AIR) -> Floats:
        """Return the output for a block, `(frames,)` both; `begin` is called once for every complete hop, `(hop,)`.

        With hops of one sample it is called once for all that there are.

        `air`, 0 to 1, is the gain of the band above the model's, which passes unchanged: a number or `(frames,)`.
        """
        frames, hop, deferred = len(block), self._hop, self._deferred
        if frames > self._room:
            self._make_room(frames)
        made, made_next = self._take(np.ascontiguousarray(block, np.float32), self._begun)
        halves = len(deferred)
        self._finish(halves)
        size = hop if hop > 1 else max(made - self._begun, 1)
        while self._begun + size <= made:
            start = self._begun - int(self._counts[_M])
            self._begun += size
            halves += 1
            deferred.append(begin(self._buffers[1][start : start + size].copy()))
            if not self._deferral:  # hop after hop, whatever the blocks: a model may draw random numbers in both halves
                self._finish(1)
                halves += 1
        while deferred and self._spare < frames:
            self._finish(1)
            halves += 1
        output = np.empty(frames, np.float32)
        self._spare -= frames
        self.has_time = not halves or halves == 1 < self._next_halves(frames, made_next)
        if air.ndim or air:
            high_band = np.empty(frames, np.float32)
            self._emit(output, high_band)
            return output + air * high_band
        self._emit(output, output[:0])
        return output

    def _finish(self, hops: int) -> None:
        """Do the second half of so many hops."""
        for finish in self._deferred[:hops]:
            self._spare += self._give(np.ascontiguousarray(finish(), np.float32))
        del self._deferred[:hops]

    def _next_halves(self, frames: int, made: int) -> int:
        """Return how many halves of hops the next block of so many frames will do; `made` is the model's input then."""
        begins, finishes = (made - self._begun) // self._hop, len(self._deferred)
        rate, inner_rate = self._rates
        waits = self._spare + finishes * self._hop * rate // inner_rate >= frames
        return finishes + begins * (1 if self._deferral and waits else 2)

    def _make_room(self, frames: int) -> None:
        """Make the buffers long enough for blocks of up to so many frames."""
        rate, inner_rate = self._rates
        reach = [len(conversion.weights[0]) for conversion in (self._down, self._up)]
        kept = self.delay + 2 * frames
        inner = math.ceil(kept * inner_rate / rate) + 4 * self._hop + reach[1]
        self._room = frames
        for number, size in enumerate((kept + 2 * reach[0], inner, inner)):
            longer, old = np.zeros(size, np.float32), self._buffers[number]
            longer[: len(old)] = old
            self._buffers[number] = longer
            if not len(old):  # silence before the first sample
                self._counts[2 * number] = -size
        held, none = _Held(self._plan, self._down.weights, self._up.weights, self._counts, *self._buffers), old[:0]
        self._take = bind(_take, held, none, 0)
        self._give, self._emit = bind(_give, held, none), bind(_emit, held, none, none)

    def _least_delay(self, rate: int, inner_rate: int, inner_delay: int) -> int:
        """Return the least delay in samples at `rate`, as derived above."""
        outputs = np.arange(rate * self._hop // gcd(inner_rate, rate * self._hop))
        of_model = self._up.newest_input(outputs) + inner_delay
        end_of_hop = of_model - of_model % self._hop + self._hop - 1
        return int((self._down.newest_input(end_of_hop) - outputs).max())


_compiled = partial(jit, forceinline=False)
_Counts = NDArray[np.int64]


class _Held(NamedTuple):
    """Both resamplers' weights, and the newest samples of the input `x`, the model's input `m` and its output `y`."""

    plan: _Counts
    down: Floats
    up: Floats
    counts: _Counts
    x: Floats
    m: Floats
    y: Floats


@_compiled
def _take(bound: Any, block: Floats, begun: int) -> Any:
    """Take a block and compute the model's input as far as it goes; the model has `begun` so many samples.

    Returns how many there are in all, and how many there will be after another block of this length.
    """
    plan, weights, _, counts, x, m, _ = contents(bound)
    step, phases, reach, made = plan[1], plan[2], weights.shape[1] // 2, counts[_MADE]
    oldest = counts[_RETURNED] - plan[0]
    _append(counts, _X, x, min(oldest, made * step // phases - reach), block, 0)
    total = counts[_X + 1]
    there = _available(total, step, phases, reach)
    oldest = oldest * plan[3] // plan[4] - plan[5]
    kept = _append(counts, _M, m, min(begun, oldest), m[: there - made], there - made)
    interpolate(x, counts[_X], weights, step, made, m[kept : kept + there - made])
    counts[_MADE] = there
    return there, _available(total + len(block), step, phases, reach)


@_compiled
def _give(bound: Any, output: Floats) -> Any:
    """Take a hop of the model's output; return how many more samples can be returned."""
    plan, _, _, counts, _, _, y = contents(bound)
    step, phases, reach = plan[3], plan[4], plan[5]
    dropped = min(counts[_TO_DROP], len(output))
    counts[_TO_DROP] -= dropped
    before = _available(counts[_Y + 1], step, phases, reach)
    oldest = (counts[_RETURNED] - plan[0]) * step // phases - reach
    _append(counts, _Y, y, oldest, output[dropped:], 0)
    return _available(counts[_Y + 1], step, phases, reach) - before


@_compiled
def _emit(bound: Any, output: Floats, high_band: Floats) -> None:
    """Write the next samples to `output`, `(frames,)`, and the band above the model's to `high_band`, if it has room.

    That is the input less what remains of it after resampling to the model's rate and back.
    """
    plan, _, weights, counts, x, m, y = contents(bound)
    first = counts[_RETURNED] - plan[0]
    silent = min(max(-first, 0), len(output))
    for i in range(silent):
        output[i] = np.float32(0)
    interpolate(y, counts[_Y], weights, plan[3], first + silent, output[silent:])
    if len(high_band):
        for i in range(silent):
            high_band[i] = np.float32(0)
        sounding = high_band[silent:]
        interpolate(m, counts[_M], weights, plan[3], first + silent, sounding)
        whole = x[first + silent - counts[_X] :]
        for i in range(len(sounding)):
            sounding[i] = whole[i] - sounding[i]
    counts[_RETURNED] += len(output)


@_compiled
def _append(counts: _Counts, which: int, buffer: Floats, needed: int, samples: Floats, room: int) -> Any:
    """Append samples to a buffer, or only make `room` if that is not 0; what is older than `needed` may go.

    Returns where in the buffer they begin.
    """
    number = room if room else len(samples)
    there = counts[which + 1] - counts[which]
    if there + number > len(buffer):
        gone = needed - counts[which]
        kept, moved = buffer[gone:there], buffer[: there - gone]
        for i in range(len(moved)):
            moved[i] = kept[i]
        counts[which], there = needed, there - gone
    if not room:
        new = buffer[there : there + number]
        for i in range(number):
            new[i] = samples[i]
    counts[which + 1] += number
    return there


@jit
def _available(inputs: int, step: int, phases: int, reach: int) -> int:
    """Return how many outputs of a resampler so many inputs are enough for."""
    return max(-(-max(inputs - reach, 0) * phases // step), 0)
