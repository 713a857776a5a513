"""The continuous way to a WaveNet's style: levels as real numbers, each the mixture of the two that it lies between.

What a mixture is to the first layer, and what it costs, is the mean of the two, so there is a gradient, and the loss is
that of `wavenet.py` where all numbers are levels. L-BFGS follows it. The likelihood is rough from level to level: with
`noise` the gradient is taken at places moved by noise, other ones in each round and less in the next (randomised
smoothing; Duchi, Bartlett and Wainwright 2012). What the rounding to levels at the end costs, the curve of losses does
not show; `gramophone evaluate descent` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from gramophone.models.layers import mulaw
from gramophone.offline.stylise.method import TransferMethod
from gramophone.offline.stylise.wavenet import WaveNetStyle

_SEED = 2016


class RelaxedWaveNetStyle(WaveNetStyle):
    """Descends in real numbers `(T,)`, from the content's levels."""

    steps = 100
    round_steps = 20
    noise: ClassVar[float] = 1.0
    """Standard deviation in levels in the first round; none is left half-way."""

    def __init__(self, content: Tensor, style: Tensor) -> None:
        super().__init__(content, style)
        self._noise = torch.zeros(())

    def start(self) -> Tensor:
        """Return the content's levels as real numbers."""
        return super().start().float()

    def content_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the same, of numbers within the levels."""
        return super().content_losses(self._moved(x))

    def style_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the same, of numbers within the levels."""
        return super().style_losses(self._moved(x))

    def advanced(self, x: Tensor, strength: float, done: int, steps: int) -> Tensor:
        """Return where L-BFGS leads, with this round's noise."""
        chance = torch.Generator().manual_seed(_SEED + done)
        spread = self.noise * max(1 - 2 * done / self.steps, 0.0)
        self._noise = spread * torch.randn(len(x), generator=chance)
        there = TransferMethod.advanced(self, x, strength, done, steps)
        self._noise = torch.zeros(())
        return there

    def sound(self, x: Tensor) -> Tensor:
        """Return the sound of the nearest levels."""
        return super().sound(levels_of(x))

    def _moved(self, x: Tensor) -> Tensor:
        return (x + self._noise).clamp(0, mulaw.LEVELS - 1)


def levels_of(x: Tensor) -> Tensor:
    """Return the levels nearest to real numbers."""
    return x.round().clamp(0, mulaw.LEVELS - 1).long()
