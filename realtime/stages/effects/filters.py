"""The filters: low and high pass of the first order, shelves and a peak of the second, as JUCE computes them.

Coefficients of the second order are those of Bristow-Johnson's cookbook. The filters are transposed direct form II.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import contents
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.effects.kernel import SMALLEST, EffectKernel, exact, gain_of, rounded

_F = np.float32
_PI = _F(math.pi)


@exact
def _first_order(bound: Any, block: Floats, output: Floats) -> None:
    coefficients, state = contents(bound)
    b0, b1, a1 = coefficients[0], coefficients[1], coefficients[2]
    for channel in range(len(block)):
        x, y, s = block[channel], output[channel], state[channel, 0]
        for i in range(len(x)):
            y[i] = x[i] * b0 + s
            s = x[i] * b1 - y[i] * a1
        state[channel, 0] = s if abs(s) > SMALLEST else _F(0)


@exact
def _second_order(bound: Any, block: Floats, output: Floats) -> None:
    coefficients, state = contents(bound)
    b0, b1, b2, a1, a2 = coefficients[0], coefficients[1], coefficients[2], coefficients[3], coefficients[4]
    for channel in range(len(block)):
        x, y, s, t = block[channel], output[channel], state[channel, 0], state[channel, 1]
        for i in range(len(x)):
            y[i] = x[i] * b0 + s
            s = x[i] * b1 - y[i] * a1 + t
            t = x[i] * b2 - y[i] * a2
        state[channel, 0] = s if abs(s) > SMALLEST else _F(0)
        state[channel, 1] = t if abs(t) > SMALLEST else _F(0)


class FirstOrderFilter(EffectKernel):
    """pedalboard's HighpassFilter and LowpassFilter, 6 dB per octave."""

    kernel = staticmethod(_first_order)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return coefficients `(3,)` and state `(channels, 1)`."""
        self._coefficients, state = zeros(3), zeros(form.channels, 1)
        return (self._coefficients, state), (state,)

    def update(self) -> None:
        """Compute the coefficients."""
        one = _F(1)
        n = rounded(math.tan, _PI * self.number("frequency") / _F(self._form.rate))
        b0, b1 = (one, -one) if self._effect.plugin == "HighpassFilter" else (n, n)
        self._coefficients[:] = np.array([b0, b1, n - one], np.float32) * (one / (n + one))


class SecondOrderFilter(EffectKernel):
    """pedalboard's LowShelfFilter, PeakFilter and HighShelfFilter."""

    kernel = staticmethod(_second_order)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return coefficients `(5,)` and state `(channels, 2)`."""
        self._coefficients, state = zeros(5), zeros(form.channels, 2)
        return (self._coefficients, state), (state,)

    def update(self) -> None:
        """Compute the coefficients."""
        a, q = np.sqrt(gain_of(self.number("gain"))), self.number("q")
        omega = _F(2) * _PI * max(self.number("frequency"), _F(2)) / _F(self._form.rate)
        if self._effect.plugin == "PeakFilter":
            b0, b1, b2, a0, a1, a2 = _peak(a, q, omega)
        else:
            b0, b1, b2, a0, a1, a2 = _sloped(a, q, omega, _F(1 if self._effect.plugin == "LowShelfFilter" else -1))
        self._coefficients[:] = np.array([b0, b1, b2, a1, a2], np.float32) * (_F(1) / a0)


def _peak(a: np.float32, q: np.float32, omega: np.float32) -> tuple[np.float32, ...]:
    """Return b0, b1, b2, a0, a1 and a2 for the root of the gain, q, and the frequency in radians a sample."""
    alpha, c2 = rounded(math.sin, omega) / (q * _F(2)), _F(-2) * rounded(math.cos, omega)
    return _F(1) + alpha * a, c2, _F(1) - alpha * a, _F(1) + alpha / a, c2, _F(1) - alpha / a


def _sloped(a: np.float32, q: np.float32, omega: np.float32, side: np.float32) -> tuple[np.float32, ...]:
    """Return the same of a LowShelfFilter, where `side` is 1, or a HighShelfFilter, where it is -1."""
    low, high = a - _F(1), a + _F(1)
    cosine, beta = side * rounded(math.cos, omega), rounded(math.sin, omega) * np.sqrt(a) / q
    lc, hc = low * cosine, high * cosine
    two = _F(2) * side
    return (
        a * (high - lc + beta),
        a * two * (low - hc),
        a * (high - lc - beta),
        high + lc + beta,
        -two * (low + hc),
        high + lc - beta,
    )
