"""The mono sum of a stereo input, which speech in opposite phase on the two channels does not cancel.

Usually it is the mean of the channels, the mid. Where the side, half their difference, is much stronger for some 20 ms
(a cable with swapped wires, a microphone in figure of eight), the side is taken until the mid is much stronger again.
Powers are measured over windows by the count of samples, so the result does not depend on the blocks.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Doubles, Floats
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio

_WINDOW_S = 0.01
_SHARE = 0.3
"""How much of the running power is of the newest window."""
_STRONGER = 4.0
"""By what factor of power, 6 dB, the other signal has to be stronger: one channel alone is as strong in both."""
_FAINTEST = 1e-8
"""Mean square, -80 dBFS, below which nothing is changed."""


class MonoSumState(NamedTuple):
    """Mid and side of the window so far, `(2, samples)`, and running powers of both, `(2,)`.

    `counts` `(2,)`: samples in the window, and 1 where the side is chosen. `fade` `(3,)`: share of the side at the last
    change of choice, share that is moved to, and samples since.
    """

    window: Floats
    counts: NDArray[np.int64]
    powers: Doubles
    fade: Doubles


class MonoSum:
    """Blocks of `(channels, frames)` to their mono sum `(frames,)`; `rate` in Hz."""

    def __init__(self, rate: int) -> None:
        state = initial_state_of(rate)
        self._sum = bind(_sum, (state,), state.window, state.window[0])

    def process(self, block: Audio) -> Floats:
        """Return the mono sum of a block."""
        mono = np.empty(block.shape[1], np.float32)
        self._sum(np.ascontiguousarray(block, np.float32), mono)
        return mono


def initial_state_of(rate: int) -> MonoSumState:
    """Return the state of silence."""
    window = np.zeros((2, round(_WINDOW_S * rate)), np.float32)
    return MonoSumState(window, np.zeros(2, np.int64), np.zeros(2), np.array([0.0, 0.0, window.shape[1]]))


compiled = partial(jit, forceinline=False)


@compiled
def _sum(bound: Any, block: Floats, mono: Floats) -> None:
    (state,) = contents(bound)
    sum_channels(state, block, mono)


@compiled
def sum_channels(state: MonoSumState, block: Floats, mono: Floats) -> None:
    """Write the mono sum of a block, `(channels, frames)`, to `mono`, `(frames,)`."""
    channels = len(block)
    for i in range(len(mono)):
        if channels == 2:
            mono[i] = _next(state, block[0, i], block[1, i])
        else:
            total = block[0, i]
            for channel in range(1, channels):
                total += block[channel, i]
            mono[i] = total / np.float32(channels)


@compiled
def _next(state: MonoSumState, left: Any, right: Any) -> Any:
    """Return the mono sum of the next sample of two channels."""
    mid, side = (left + right) * np.float32(0.5), (left - right) * np.float32(0.5)
    fade, length = state.fade, state.window.shape[1]
    if fade[2] < length:
        fade[2] += 1
    share = fade[1] if fade[2] == length else fade[0] + (fade[1] - fade[0]) * (fade[2] / length)
    state.window[0, state.counts[0]], state.window[1, state.counts[0]] = mid, side
    state.counts[0] += 1
    if state.counts[0] == length:
        state.counts[0] = 0
        _choose(state, share)
    if share == 0:
        return mid
    amount = np.float32(share)
    return mid * (np.float32(1) - amount) + side * amount


@compiled
def _choose(state: MonoSumState, share: float) -> None:
    """Choose mid or side, which are faded to, by the power of the window that is full now."""
    counts, powers, length = state.counts, state.powers, state.window.shape[1]
    for which in range(2):
        total = 0.0
        for j in range(length):
            total += float(state.window[which, j]) ** 2
        powers[which] += _SHARE * (total / length - powers[which])
    other = powers[1 - counts[1]]
    if other > max(_STRONGER * powers[counts[1]], _FAINTEST):
        counts[1] = 1 - counts[1]
        state.fade[0], state.fade[1], state.fade[2] = share, counts[1], 0
