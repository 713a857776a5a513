"""Blocks at one sample rate for a function that works hop by hop at another, late by an exact number of samples."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np

from gramophone.realtime.wavenet.layout import Floats
from gramophone.realtime.wavenet.resampler import Resampler


class Bridge:
    """Blocks of one channel at `rate` Hz, of any lengths, through a function at `inner` Hz, and back.

    The function takes and gives `hop` samples, and what it gives is `late` samples later than what it was given. The
    bridge is `delay` samples late, the least at which no block ever waits: after the inner sample that an output
    sample takes comes the rest of its hop. Both filters lie within, so that output and input are in line.
    """

    def __init__(self, rate: int, inner: int, hop: int, late: int) -> None:
        self._down, self._up = Resampler(rate, inner), Resampler(inner, rate)
        self._hop = hop
        self.delay = self._least_delay(rate, inner, late)
        self._waiting = np.zeros(0, np.float32)
        self._made = np.zeros(self.delay, np.float32)
        self._early = late

    def process(self, block: Floats, step: Callable[[Floats], Floats]) -> Floats:
        """Return the sound of a block, `(frames,)` both; `step` is called once for every hop that is complete."""
        heard = self._down.process(block, self._down.makeable(len(block)))
        waiting = np.concatenate((self._waiting, heard))
        whole = len(waiting) - len(waiting) % self._hop
        given = [step(waiting[start : start + self._hop]) for start in range(0, whole, self._hop)]
        self._waiting = waiting[whole:]
        said = np.concatenate((self._waiting[:0], *given))
        # What speaks of the time before the first sample is let go.
        early = min(self._early, len(said))
        self._early -= early
        said = said[early:]
        made = np.concatenate((self._made, self._up.process(said, self._up.makeable(len(said)))))
        self._made = made[len(block) :]
        return made[: len(block)]

    def _least_delay(self, rate: int, inner: int, late: int) -> int:
        """Return by how much the newest input that an output sample takes is ahead of it, at the most.

        That repeats whenever the beginnings of a hop and of a sample coincide.
        """
        outputs = np.arange(rate * self._hop // gcd(inner, rate * self._hop))
        said = self._up.newest(outputs) + late
        heard = said - said % self._hop + self._hop - 1
        return int((self._down.newest(heard) - outputs).max())
