"""From one sample rate to another: a stream without delay, for what a model plays can be made ahead of time.

Output sample `n` is the band-limited input at the time `n / to`, by a windowed sinc (Kaiser window, about 70 dB). It
needs some input beyond that time: `wanted` says how much, or `makeable` how far what there is will do.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.jit import jit

Index = TypeVar("Index", int, NDArray[np.int64])
_REACH = 24
"""Periods of the lower rate that the sinc reaches to either side."""
_BETA = 7.0
_ROLL_OFF = 0.91
"""Where the filter has fallen to half, relative to half of the lower rate: it is closed at 1."""


class Resampler:
    """Input sample `k`, at the time `k / rate`, to output samples at the times `n / to`; silence before the first."""

    def __init__(self, rate: int, to: int) -> None:
        ratio = Fraction(rate, to)
        self._step, self._phases = ratio.numerator, ratio.denominator
        cutoff = min(1.0, float(1 / ratio))
        self._reach = int(np.ceil(_REACH / cutoff))
        self._kernels = _kernels(self._phases, self._reach, cutoff)
        self._past: Floats = np.zeros(2 * self._reach - 1, np.float32)
        self._taken = self._made = 0
        self.process(self._past[:0], 0)  # compiled now, not later

    def wanted(self, frames: int) -> int:
        """Return how many more input samples the next `frames` output samples take."""
        return self.newest(self._made + frames - 1) + 1 - self._taken if frames else 0

    def makeable(self, samples: int) -> int:
        """Return how many more output samples can be made once `samples` more input samples have come."""
        within = max(self._taken + samples - self._reach, 0)
        return max(-(-within * self._phases // self._step) - self._made, 0)

    def newest(self, output: Index) -> Index:
        """Return which input sample is the newest that output sample `output` takes."""
        return output * self._step // self._phases + self._reach

    def process(self, samples: Floats, frames: int) -> Floats:
        """Return the next `frames` output samples, given at least the input samples `wanted` for them."""
        known = np.concatenate((self._past, samples))
        first = self._taken - len(self._past)
        self._taken += len(samples)
        output = np.zeros(frames, np.float32)
        needed = _weigh(known, self._kernels, self._step, self._made, first + self._reach - 1, output)
        self._made += frames
        self._past = known[needed:]
        return output


@jit
def _weigh(known: Floats, kernels: Floats, step: int, made: int, first: int, output: Floats) -> int:
    """Write the next samples; `first` is the place in time of `known[0]`; return where in it the last one begins.

    Products are summed one after the other, so that a sample does not depend on how many are made with it.
    """
    taps, phases = kernels.shape
    start = 0
    for n in range(len(output)):
        position = (made + n) * step
        start = position // phases - first
        phase = position % phases
        total = np.float32(0)
        for tap in range(taps):
            total += known[start + tap] * kernels[tap, phase]
        output[n] = total
    return start


def _kernels(phases: int, reach: int, cutoff: float) -> NDArray[np.float32]:
    """Return the weights of `2 * reach` input samples for each phase between two of them, `(2 * reach, phases)`."""
    distance = np.arange(phases) / phases - np.arange(1 - reach, reach + 1)[:, None]
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None))) / np.i0(_BETA)
    kernels = np.sinc(distance * cutoff * _ROLL_OFF) * window
    return np.asfortranarray(kernels / kernels.sum(0), np.float32)
