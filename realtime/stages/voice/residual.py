"""The residual network on one core, frame by frame: what is added to the envelopes that the target's map gives.

The same as `models.nets.anyone.Anyone.residual` computes in torch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stages.latent import voice_layers as layers
from gramophone.realtime.stages.latent.voice_encoder import add_past
from gramophone.realtime.stages.latent.voice_layers import compiled
from gramophone.realtime.stages.voice.content_encoder import TrunkWeights, run_trunk

_LEAST_LEVEL = np.float32(-3.0)


class ResidualState(NamedTuple):
    """The layers' past; `path`, `inner` and `output` are work space."""

    entry: layers.LayerState
    units: layers.LayerState
    path: Floats
    inner: Floats
    output: Floats


class LiveResidual(layers.FrameByFrame):
    """Residuals `(E,)`, in the target's spreads, of frames one after the other, without delay."""

    def __init__(self, weights: TrunkWeights, content: int) -> None:
        self._content = content
        state = _initial_state(weights)
        super().__init__(bind(add_past, (weights, state), 0), bind(_compute, (weights, state), 0, state.output[0]))
        self._output: Floats = state.output[0]

    def next(self, inputs: Floats, level: float, detail: Floats, mapped: Floats) -> Floats:
        """Return the residual of the next frame, by the map's inputs `(K,)` and what `residual_inputs` takes besides.

        `level` in nats, `detail` `(POINTS,)` and `mapped` `(E,)` in spreads.
        """
        scaled = max(np.float32(level / 2 + 0.5), _LEAST_LEVEL)
        content = inputs[-self._content - 2 : -2]
        frame = np.concatenate([content, inputs[-2:-1], [scaled], detail, mapped], dtype=np.float32)
        self.advance(frame)
        return self._output.copy()


def _initial_state(weights: TrunkWeights) -> ResidualState:
    width = weights.mixes.shape[1]
    return ResidualState(
        layers.initial_state(weights.entry),
        layers.initial_state(weights.units),
        path=zeros(1, width),
        inner=zeros(1, width),
        output=zeros(1, len(weights.out_bias)),
    )


@compiled
def _compute(bound: Any, now: int, inputs: Floats) -> None:
    """Compute the residual of frame `now` into the state's output."""
    weights, state = contents(bound)
    place = layers.slot_of(weights.entry, 0, now)
    for i in range(len(inputs)):
        state.entry.past[place, i] = inputs[i]
    run_trunk(weights, state, now)
