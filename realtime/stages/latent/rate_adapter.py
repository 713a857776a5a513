"""Blocks at one sample rate for a function that works hop by hop at another, late by an exact number of samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import gcd

import numpy as np

from gramophone.realtime.dsp.resampler import Resampler
from gramophone.realtime.dsp.smoothing import Amount
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.high_band import HighBand

Finish = Callable[[], Floats]
"""The second half of a hop's work, which gives what it says."""
_NO_AIR = np.float32(0)


class RateAdapter:
    """Blocks of one channel at `rate` Hz, of any lengths, through a function at `inner` Hz, and back.

    The function takes and gives `hop` samples, and what it gives is `late` samples later than what it was given. The
    bridge is `delay` samples late, the least at which no block ever waits: after the inner sample that an output
    sample takes comes the rest of its hop. Both filters lie within, so that output and input are in line.

    The function works in two halves: the second waits for the next block, if it can. To let it wait as long as blocks
    are of `spare_s` seconds or less, the bridge is later by that; by nothing, it never waits.
    """

    def __init__(self, rate: int, inner: int, hop: int, late: int, spare_s: float = 0.0) -> None:
        self._down, self._up = Resampler(rate, inner), Resampler(inner, rate)
        self._hop = hop
        self._spare = math.ceil(spare_s * rate)
        self.delay = self._least_delay(rate, inner, late) + self._spare
        self._above = HighBand(rate, inner, self.delay)
        self._waiting = np.zeros(0, np.float32)
        self._due: list[Finish] = []
        self._made = np.zeros(self.delay, np.float32)
        self._early = late

    def process(self, block: Floats, begin: Callable[[Floats], Finish], air: Amount = _NO_AIR) -> Floats:
        """Return the sound of a block, `(frames,)` both; `begin` is called once for every hop that is complete.

        What the bridge leaves behind of the block, for it is above either's band, is let through by as much as `air`.
        """
        heard = self._down.process(block, self._down.available_outputs(len(block)))
        above = self._above.process(block, heard)
        self._finish(len(self._due))
        waiting = np.concatenate((self._waiting, heard))
        whole = len(waiting) - len(waiting) % self._hop
        self._due = [begin(waiting[start : start + self._hop]) for start in range(0, whole, self._hop)]
        self._waiting = waiting[whole:]
        while self._due and (not self._spare or len(self._made) < len(block)):
            self._finish(1)
        made, self._made = self._made[: len(block)], self._made[len(block) :]
        return made + air * above if np.any(air) else made

    def _finish(self, hops: int) -> None:
        """Do the second half of so many hops, and let go what speaks of the time before the first sample."""
        for finish in self._due[:hops]:
            said = finish()
            early = min(self._early, len(said))
            self._early -= early
            said = said[early:]
            self._made = np.concatenate((self._made, self._up.process(said, self._up.available_outputs(len(said)))))
        self._due = self._due[hops:]

    def _least_delay(self, rate: int, inner: int, late: int) -> int:
        """Return by how much the newest input that an output sample takes is ahead of it, at the most.

        That repeats whenever the beginnings of a hop and of a sample coincide.
        """
        outputs = np.arange(rate * self._hop // gcd(inner, rate * self._hop))
        said = self._up.newest_input(outputs) + late
        heard = said - said % self._hop + self._hop - 1
        return int((self._down.newest_input(heard) - outputs).max())
