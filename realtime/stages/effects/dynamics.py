"""Compressor, limiter and noise gate, as JUCE computes them: a follower of the level, and a power of it as the gain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import contents
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.effects.kernel import SMALLEST, EffectKernel, exact, gain_of, inner

_F = np.float32
_ATTACK, _RELEASE, _THRESHOLD, _INVERSE, _POWER, _FIELDS = range(6)
"""What a compressor or gate works with: shares of the last level that rising and falling ones keep, the threshold as an
amplitude, its inverse, and the power of what is beyond it that is the gain. How many these are."""
_RMS_MS = 50.0
_FIRST_DB, _FIRST_RATIO, _FIRST_ATTACK_MS, _FIRST_RELEASE_MS = _F(-10), _F(4), _F(2), _F(200)
"""Of the limiter's first stage."""
_SECOND_RATIO, _SECOND_ATTACK_MS = _F(1000), _F(0.001)


@inner
def _follow(x: Floats, y: Floats, attack: Any, release: Any, level: Any) -> Any:
    """Write the levels of a channel's samples to `y`; return the last."""
    for i in range(len(x)):
        size = abs(x[i])
        level = size + (attack if size > level else release) * (level - size)
        y[i] = level
    return level if level > SMALLEST else _F(0)


@inner
def _compress(x: Floats, y: Floats, how: Floats, state: Floats) -> None:
    """Compress a channel to `y`; `state` is its last level, `(1,)`."""
    threshold, inverse, power = how[_THRESHOLD], how[_INVERSE], how[_POWER]
    state[0] = _follow(x, y, how[_ATTACK], how[_RELEASE], state[0])
    for i in range(len(x)):
        gain = _F(1) if y[i] < threshold else (y[i] * inverse) ** power
        y[i] = gain * x[i]


@exact
def _compressor(bound: Any, block: Floats, output: Floats) -> None:
    how, state = contents(bound)
    for channel in range(len(block)):
        _compress(block[channel], output[channel], how[0], state[channel])


@exact
def _limiter(bound: Any, block: Floats, output: Floats) -> None:
    how, volume, state = contents(bound)
    for channel in range(len(block)):
        y = output[channel]
        _compress(block[channel], y, how[0], state[channel])
        first = y.copy()
        _compress(first, y, how[1], state[channel, 1:])
        for i in range(len(y)):
            y[i] = min(max(y[i] * volume[0], _F(-1)), _F(1))


@exact
def _gate(bound: Any, block: Floats, output: Floats) -> None:
    how, rms, state = contents(bound)
    threshold, inverse, power = how[0, _THRESHOLD], how[0, _INVERSE], how[0, _POWER]
    for channel in range(len(block)):
        x, y, energy = block[channel], output[channel], state[channel, 1]
        for i in range(len(x)):
            square = x[i] * x[i]
            energy = square + (rms[0] if square > energy else rms[1]) * (energy - square)
            y[i] = math.sqrt(energy)
        state[channel, 1] = energy if energy > SMALLEST else _F(0)
        state[channel, 0] = _follow(y, y, how[0, _ATTACK], how[0, _RELEASE], state[channel, 0])
        for i in range(len(x)):
            gain = _F(1) if y[i] > threshold else (y[i] * inverse) ** power
            y[i] = gain * x[i]


class Compressor(EffectKernel):
    """pedalboard's Compressor."""

    kernel = staticmethod(_compressor)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return how it works `(1, fields)`, and the last levels `(channels, 1)`."""
        self._how, state = zeros(1, _FIELDS), zeros(form.channels, 1)
        return (self._how, state), (state,)

    def update(self) -> None:
        """Compute how it works."""
        one = _F(1)
        self._how[0] = self.row("threshold", self.number("attack"), one / self.number("ratio") - one)

    def row(self, threshold: str, attack_ms: np.float32, power: np.float32) -> list[np.float32]:
        """Return how it works with the threshold of a name, this attack and the release that is set."""
        return _row(self._form.rate, self.number(threshold), attack_ms, self.number("release"), power)


class NoiseGate(Compressor):
    """pedalboard's NoiseGate: what is below the threshold of its level, a root mean square, is turned down."""

    kernel = staticmethod(_gate)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return how it works, the shares of the last square that are kept `(2,)`, and states `(channels, 2)`."""
        self._how, state, rms = zeros(1, _FIELDS), zeros(form.channels, 2), zeros(2)
        rms[:] = 0, _share(_RMS_MS, form.rate)
        return (self._how, rms, state), (state,)

    def update(self) -> None:
        """Compute how it works."""
        self._how[0] = self.row("threshold", self.number("attack"), self.number("ratio") - _F(1))


class Limiter(Compressor):
    """pedalboard's Limiter: two compressors, a gain that makes the threshold full scale, and a clipper."""

    kernel = staticmethod(_limiter)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return how both work `(2, fields)`, the gain `(1,)`, and the last levels `(channels, 2)`."""
        self._how, self._volume, state = zeros(2, _FIELDS), zeros(1), zeros(form.channels, 2)
        return (self._how, self._volume, state), (state,)

    def update(self) -> None:
        """Compute how it works."""
        one = _F(1)
        power = one / _FIRST_RATIO - one
        self._how[0] = _row(self._form.rate, _FIRST_DB, _FIRST_ATTACK_MS, _FIRST_RELEASE_MS, power)
        self._how[1] = self.row("threshold", _SECOND_ATTACK_MS, one / _SECOND_RATIO - one)
        self._volume[0] = _F(10 ** (10 * (1 - 0.25) / 40)) * gain_of(-self.number("threshold"))


def _row(
    rate: int, threshold_db: np.float32, attack_ms: np.float32, release_ms: np.float32, power: np.float32
) -> list[np.float32]:
    threshold = gain_of(threshold_db)
    return [_share(attack_ms, rate), _share(release_ms, rate), threshold, _F(1) / threshold, power]


def _share(ms: np.float32 | float, rate: int) -> np.float32:
    """Return the share of the last level that is left after a sample, where all but a 500th goes in so many ms."""
    return _F(math.exp(-2 * math.pi * 1000 / rate / float(ms)))
