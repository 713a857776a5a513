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
from math import gcd

import numpy as np

from gramophone.realtime.dsp.resampler import Resampler
from gramophone.realtime.dsp.smoothing import Amount
from gramophone.realtime.kernels.arrays import Floats

Finish = Callable[[], Floats]
"""The second half of a hop's work; it returns the hop's output, `(hop,)`."""
_NO_AIR = np.float32(0)


class RateAdapter:
    """Blocks of one channel at `rate` Hz, of any lengths, through a function at `inner_rate` Hz, and back.

    The function maps hops of `hop` samples to hops whose content is `inner_delay` samples late, at `inner_rate`. The
    adapter's `delay`, in samples at `rate`, is the least at which no block ever lacks output (derivation above). Both
    resampling filters are included, so input and output are aligned to the sample.

    The function works in two halves, of which the second may be deferred to a later block to spread the work. For
    blocks of up to `deferral_s` seconds to be able to wait for one another, the delay is longer by that; with 0 it
    never waits.
    """

    def __init__(self, rate: int, inner_rate: int, hop: int, inner_delay: int, deferral_s: float = 0.0) -> None:
        self._down, self._up = Resampler(rate, inner_rate), Resampler(inner_rate, rate)
        self._hop = hop
        self._deferral = math.ceil(deferral_s * rate)
        self.delay = self._least_delay(rate, inner_rate, inner_delay) + self._deferral
        self._high_band = _HighBand(rate, inner_rate, self.delay)
        self._waiting = np.zeros(0, np.float32)
        self._deferred: list[Finish] = []
        self._ready = np.zeros(self.delay, np.float32)
        self._to_drop = inner_delay

    def process(self, block: Floats, begin: Callable[[Floats], Finish], air: Amount = _NO_AIR) -> Floats:
        """Return the output for a block, `(frames,)` both; `begin` is called once for every complete hop, `(hop,)`.

        With hops of one sample it is called once for all that there are.

        `air`, 0 to 1, is the gain of the band above the model's, which passes unchanged: a number or `(frames,)`.
        """
        samples = self._down.process(block, self._down.available_outputs(len(block)))
        high_band = self._high_band.process(block, samples)
        self._finish(len(self._deferred))
        waiting = np.concatenate((self._waiting, samples))
        whole = len(waiting) - len(waiting) % self._hop
        size = self._hop if self._hop > 1 else max(whole, 1)
        for start in range(0, whole, size):
            self._deferred.append(begin(waiting[start : start + size]))
            if not self._deferral:  # hop after hop, whatever the blocks: a model may draw random numbers in both halves
                self._finish(1)
        self._waiting = waiting[whole:]
        while self._deferred and len(self._ready) < len(block):
            self._finish(1)
        output, self._ready = self._ready[: len(block)], self._ready[len(block) :]
        return output + air * high_band if np.any(air) else output

    def _finish(self, hops: int) -> None:
        """Do the second half of so many hops; drop the samples that belong before the first input sample."""
        for finish in self._deferred[:hops]:
            output = finish()
            dropped = min(self._to_drop, len(output))
            self._to_drop -= dropped
            output = output[dropped:]
            upsampled = self._up.process(output, self._up.available_outputs(len(output)))
            self._ready = np.concatenate((self._ready, upsampled))
        self._deferred = self._deferred[hops:]

    def _least_delay(self, rate: int, inner_rate: int, inner_delay: int) -> int:
        """Return the least delay in samples at `rate`, as derived above."""
        outputs = np.arange(rate * self._hop // gcd(inner_rate, rate * self._hop))
        of_model = self._up.newest_input(outputs) + inner_delay
        end_of_hop = of_model - of_model % self._hop + self._hop - 1
        return int((self._down.newest_input(end_of_hop) - outputs).max())


class _HighBand:
    """The band above the model's: the input less what remains of it after resampling to `inner_rate` and back.

    `delay` in samples at `rate` is the adapter's. Added to the resampled signal, it restores the input exactly.
    """

    def __init__(self, rate: int, inner_rate: int, delay: int) -> None:
        self._up = Resampler(inner_rate, rate)
        self._past = np.zeros(delay, np.float32)
        self._low = np.zeros(delay, np.float32)

    def process(self, block: Floats, samples: Floats) -> Floats:
        """Return the high band of a block, `(frames,)`, given its downsampled samples `(samples,)`."""
        low = np.concatenate((self._low, self._up.process(samples, self._up.available_outputs(len(samples)))))
        known = np.concatenate((self._past, block))
        self._low, self._past = low[len(block) :], known[len(block) :]
        return known[: len(block)] - low[: len(block)]
