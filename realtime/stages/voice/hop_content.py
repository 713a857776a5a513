"""What a hop says, without its speaker: content and envelope, each less its mean so far and over its spread.

A numba kernel: some sixty numbers a hop, for which NumPy spends its time between the operations.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.models.units import POINTS
from gramophone.realtime.kernels.arrays import Doubles, Floats, packed, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stages.latent.voice_layers import compiled, multiply

if TYPE_CHECKING:
    from gramophone.models.nets.anyone import Anyone

_EXPECTED, _MEMORY = 120.0, 2000.0
"""Frames that usual statistics count as before the first, and that running ones reach back at most: 1 s and 16 s."""
_MOST = 4.0
"""Spreads that a shape or a detail is off at most."""


class RunningMoments(NamedTuple):
    """Running mean and mean square of rows, `(D,)` each."""

    mean: Doubles
    square: Doubles


class HopContentState(NamedTuple):
    """The moments of content and envelope, and of how many frames, `(1,)`; the newest, `recent` content `(T, D)`.

    `context` `(C,)` are the rows of it that the map reads; `universal` `(1, K, POINTS)` is the map of all speakers, and
    `expected` `(1, POINTS)` work space.
    """

    content: RunningMoments
    envelope: RunningMoments
    frames: Doubles
    recent: Floats
    context: NDArray[np.int64]
    universal: Floats
    expected: Floats


def state_of(model: Anyone) -> HopContentState:
    """Return the state before any sound."""
    shape = model.shape
    reach = 1 - min(shape.context)
    return HopContentState(
        content=_usual(model.content_moments.numpy()),
        envelope=_usual(model.envelope_moments.numpy()[:, :POINTS]),
        frames=np.array([_EXPECTED]),
        recent=zeros(reach, shape.content),
        context=np.array(shape.context) + reach - 1,
        universal=packed(model.universal[:, :POINTS][None]),
        expected=zeros(1, POINTS),
    )


class HopContent(NamedTuple):
    """The map's inputs `(K,)`; the envelope less its level, `own`, that normalised, `shape`, and its `detail`.

    Those are `(POINTS,)`, the detail being what content does not say of the shape. `mean` `(POINTS,)` is that of `own`
    so far; `said` `(D,)` the content, normalised.
    """

    inputs: Floats
    own: Floats
    shape: Floats
    detail: Floats
    mean: Doubles
    said: Floats


class LiveHopContent:
    """Content `(D,)` and envelope `(POINTS,)` of hop after hop to what is said, in the terms of the maps."""

    def __init__(self, state: HopContentState) -> None:
        self._inputs, self._said = state.universal.shape[1], state.recent[-1]
        example = state.recent[-1], state.expected[0], False, False
        found = self._nothing()
        self._describe = bind(_describe, (state,), *example, *found[:-1])

    def __call__(self, content: Floats, points: Floats, voiced: bool, counts: bool) -> HopContent:
        """Return the content of the next hop, which is counted in the statistics if it `counts`."""
        found = self._nothing()
        self._describe(content, points, voiced, counts, *found[:-1])
        return found

    def _nothing(self) -> HopContent:
        """Return the arrays of a hop; what is said is the kernel's own, until the next hop."""
        own, shape, detail = np.empty((3, POINTS), np.float32)
        return HopContent(np.empty(self._inputs, np.float32), own, shape, detail, np.empty(POINTS), self._said)


def _usual(moments: Floats) -> RunningMoments:
    """Return running moments that begin with usual ones, `(2, D)`: mean, spread."""
    return RunningMoments(moments[0].astype(np.float64), np.square(moments, dtype=np.float64).sum(0))


@compiled
def _describe(
    bound: Any,
    content: Floats,
    points: Floats,
    voiced: bool,
    counts: bool,
    inputs: Floats,
    own: Floats,
    shape: Floats,
    detail: Floats,
    mean: Doubles,
) -> None:
    """Write what `HopContent` says, all but the last, which is in the last row of `recent`."""
    (state,) = contents(bound)
    if counts:
        state.frames[0] = min(state.frames[0] + 1, _MEMORY)
    frames = state.frames[0] if counts else math.inf
    _advance(state.recent)
    _normalise(state.content, content, frames, state.recent[len(state.recent) - 1])
    _gather(state, voiced, inputs)
    _without_mean(points, own)
    _normalise(state.envelope, own, frames, shape)
    for i in range(len(shape)):
        shape[i] = _bounded(shape[i])
        state.expected[0, i] = np.float32(0)
        mean[i] = state.envelope.mean[i]
    multiply(state.expected, 0, inputs.reshape(1, len(inputs)), 0, state.universal, 0)
    for i in range(len(shape)):
        detail[i] = _bounded(shape[i] - state.expected[0, i])


@compiled
def _advance(recent: Floats) -> None:
    """Move all rows up by one."""
    for row in range(len(recent) - 1):
        for i in range(recent.shape[1]):
            recent[row, i] = recent[row + 1, i]


@compiled
def _gather(state: HopContentState, voiced: bool, inputs: Floats) -> None:
    """Write the map's inputs: the content around the frame, whether it is voiced, and 1."""
    width = state.recent.shape[1]
    for place in range(len(state.context)):
        for i in range(width):
            inputs[place * width + i] = state.recent[state.context[place], i]
    inputs[len(inputs) - 2], inputs[len(inputs) - 1] = np.float32(voiced), np.float32(1)


@compiled
def _without_mean(points: Floats, own: Floats) -> None:
    """Write the envelope less its mean."""
    total = 0.0
    for i in range(len(points)):
        total += points[i]
    for i in range(len(points)):
        own[i] = points[i] - np.float32(total / len(points))


@compiled
def _normalise(moments: RunningMoments, row: Floats, count: float, normalised: Floats) -> None:
    """Write a row less the mean and over the spread, after it has been counted as one of `count` rows."""
    for i in range(len(row)):
        x = float(row[i])
        moments.mean[i] += (x - moments.mean[i]) / count
        moments.square[i] += (x * x - moments.square[i]) / count
        spread = math.sqrt(max(moments.square[i] - moments.mean[i] * moments.mean[i], 1e-4))
        normalised[i] = (x - moments.mean[i]) / spread


@compiled
def _bounded(x: Any) -> Any:
    return min(max(x, np.float32(-_MOST)), np.float32(_MOST))
