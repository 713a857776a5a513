"""Streaming sample rate conversion: a polyphase windowed sinc (Kaiser window, about 70 dB of stopband).

The conversion itself adds no delay: output sample `n` is the input at exactly the time `n / to_rate`. It needs some
input beyond that time. A caller that can produce input ahead of time (a model that plays by itself) asks how much with
`required_inputs`; a caller that waits for its input asks with `available_outputs` how many samples can be computed.

Reference clips: any audio file, at the sample rate of the model that analyses it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio, StageError

_AUDIBLE = 1e-4
"""Loudest sample of a clip that is not silent: -80 dBFS."""


def read_clip(clip: str, rate: int) -> Audio:
    """Return the samples of the audio file `clip`, `(channels, frames)` at `rate` Hz; NaN and infinity become silence.

    Raises:
        StageError: the file cannot be read.
    """
    # Imported here: a start that reads no clip need not wait for what reads sound files.
    from gramophone.realtime.files import SoundFileError, finite_sound, read

    try:
        sound, found = read(Path(clip))
    except SoundFileError as error:
        raise StageError(f"clip: {error}") from None
    sound = finite_sound(clip, sound)
    if found == rate:
        return sound
    import soxr

    return np.ascontiguousarray(soxr.resample(sound.T, found, rate).T)


def demand_audible(clip: str, sound: Audio) -> Audio:
    """Return what is used of a clip, `(channels, frames)`, as it is.

    Raises:
        StageError: it is silent, so there is nothing to take from it.
    """
    peak = float(np.abs(sound).max(initial=0))
    if peak < _AUDIBLE:
        raise StageError(f"clip: {clip}: silent (loudest sample {peak:.1g}); expected a sound")
    return sound


def mono(sound: Audio) -> Floats:
    """Return the mono sum `(frames,)` of a whole sound `(channels, frames)`: the mean of its channels.

    Of two in opposite phase, which would cancel, it is half their difference, as `MonoSum` takes it live.
    """
    mid: Floats = np.asarray(sound.mean(axis=0), np.float32)
    if len(sound) != 2:
        return mid
    side: Floats = np.asarray((sound[0] - sound[1]) / 2, np.float32)
    mid_power, side_power = (float(np.square(x, dtype=np.float64).sum()) for x in (mid, side))
    return side if side_power > _OPPOSITE * mid_power else mid


_OPPOSITE = 4.0
"""By what factor of power, 6 dB, the side has to be stronger than the mid: one channel alone is as strong in both."""


Index = TypeVar("Index", int, NDArray[np.int64])
_REACH = 24
"""Periods of the lower sample rate that the sinc extends to either side."""
_BETA = 7.0
_ROLL_OFF = 0.91
"""Where the filter has fallen to half its gain, relative to half of the lower rate; at 1 it is closed."""


# Derivation. Let the rates be reduced, `from_rate / to_rate = step / phases`. Output `n` lies at the input position
#
#     p(n) = n * from_rate / to_rate = n * step / phases
#
# in input samples, with whole part `i = n * step // phases` and fraction `(n * step % phases) / phases`. The fraction
# takes only `phases` values, so the band-limited interpolation (Smith and Gossett 1984)
#
#     y(n) = sum over k of x[k] * h(p(n) - k),   h(d) = sinc(d * cutoff * roll_off) * kaiser(d / reach)
#
# is, for each of these phases, a fixed set of `2 * reach` weights on the inputs `i + 1 - reach` to `i + reach`. The
# weights of each phase are scaled to a sum of 1, so that a constant passes unchanged. `cutoff = min(1, to / from)` and
# `reach = ceil(24 / cutoff)`: the sinc must be as wide as the lower of the rates requires. Hence:
#
# - the newest input that output `n` needs is `n * step // phases + reach` (`newest_input`);
# - outputs `first` to `first + frames - 1` need `newest_input(first + frames - 1) + 1` inputs (`required_inputs`);
# - `N` inputs are enough for output `n` if `n * step // phases + reach <= N - 1`, that is
#   `n * step < (N - reach) * phases`; the number of such `n` is `ceil((N - reach) * phases / step)`
#   (`available_outputs`).
#
# All of it is counted in whole numbers from the first sample, so there is no drift and blocks leave no trace.
class RateConversion:
    """A conversion of one channel from `from_rate` to `to_rate`, both in Hz: which inputs an output needs, and weights.

    Input sample `k` lies at the time `k / from_rate`, output sample `n` at `n / to_rate`. `weights`
    `(phases, 2 * reach)` are those of the inputs for each phase between two of them.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        ratio = Fraction(from_rate, to_rate)
        self._step, self._phases = ratio.numerator, ratio.denominator
        cutoff = min(1.0, float(1 / ratio))
        self._reach = int(np.ceil(_REACH / cutoff)) if ratio != 1 else 0
        self.weights = _weights(self._phases, self._reach, cutoff)

    @property
    def ratio(self) -> tuple[int, int]:
        """The two rates, from and to, reduced: the step between two outputs, and by what it is to be divided."""
        return self._step, self._phases

    def newest_input(self, output: Index) -> Index:
        """Return the index of the newest input sample that output sample `output` (an index or an array) needs."""
        return output * self._step // self._phases + self._reach


class Resampler(RateConversion):
    """Converts one channel, from silence before the first sample; between equal rates the sound passes unchanged."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        super().__init__(from_rate, to_rate)
        self._past: Floats = np.zeros(max(2 * self._reach - 1, 0), np.float32)
        self._taken = self._made = 0
        self.process(self._past[:0], 0)  # compiled now, not in the first block

    def required_inputs(self, frames: int) -> int:
        """Return how many more input samples the next `frames` output samples need."""
        return self.newest_input(self._made + frames - 1) + 1 - self._taken if frames else 0

    def available_outputs(self, samples: int) -> int:
        """Return how many more output samples can be computed from `samples` more input samples."""
        within = max(self._taken + samples - self._reach, 0)
        return max(-(-within * self._phases // self._step) - self._made, 0)

    def process(self, samples: Floats, frames: int) -> Floats:
        """Return the next output samples, `(frames,)`, given at least the `required_inputs` for them, `(samples,)`."""
        known = np.concatenate((self._past, samples))
        if not self._reach:
            self._taken, self._made, self._past = self._taken + len(samples), self._made + frames, known[frames:]
            return known[:frames]
        first = self._taken - len(self._past)
        self._taken += len(samples)
        output = np.zeros(frames, np.float32)
        needed = interpolate(known, first, self.weights, self._step, self._made, output)
        self._made += frames
        self._past = known[needed:]
        return output


@partial(jit, forceinline=False)
def interpolate(known: Floats, first: int, weights: Floats, step: int, made: int, output: Floats) -> int:
    """Write output samples `made` and on of a resampler; return where in `known` the inputs of the last one begin.

    `first` is the index of `known[0]` in the input. Products are summed one after the other, so that a sample does not
    depend on how many are computed with it; four samples take turns, as one would wait for each of its own sums.
    """
    frames, taps, start = len(output), weights.shape[1], 0
    if not taps:
        for n in range(frames):
            output[n] = known[made + n - first]
        return made + frames - first
    base = first + taps // 2 - 1
    whole = frames - frames % 4
    for n in range(0, whole, 4):
        place = (made + n) * step
        known0, weights0, _ = _tapped(known, base, weights, place)
        known1, weights1, _ = _tapped(known, base, weights, place + step)
        known2, weights2, _ = _tapped(known, base, weights, place + 2 * step)
        known3, weights3, start = _tapped(known, base, weights, place + 3 * step)
        total0 = total1 = total2 = total3 = np.float32(0)
        for tap in range(taps):
            total0 += known0[tap] * weights0[tap]
            total1 += known1[tap] * weights1[tap]
            total2 += known2[tap] * weights2[tap]
            total3 += known3[tap] * weights3[tap]
        output[n], output[n + 1], output[n + 2], output[n + 3] = total0, total1, total2, total3
    for n in range(whole, frames):
        known0, weights0, start = _tapped(known, base, weights, (made + n) * step)
        total0 = np.float32(0)
        for tap in range(taps):
            total0 += known0[tap] * weights0[tap]
        output[n] = total0
    return start


@jit
def _tapped(known: Floats, base: int, weights: Floats, place: int) -> Any:
    """Return the inputs of an output, their weights, and where in `known` they begin."""
    phases, taps = weights.shape
    start = place // phases - base
    return known[start : start + taps], weights[place % phases], start


def _weights(phases: int, reach: int, cutoff: float) -> Floats:
    """Return the weights of `2 * reach` input samples for each phase between two of them, `(phases, 2 * reach)`."""
    if not reach:
        return np.zeros((1, 0), np.float32)
    distance = np.arange(phases) / phases - np.arange(1 - reach, reach + 1)[:, None]
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None))) / np.i0(_BETA)
    kernels = np.sinc(distance * cutoff * _ROLL_OFF) * window
    return np.ascontiguousarray((kernels / kernels.sum(0)).T, np.float32)
