"""A distribution whose elements are drawn one after the other, each given those before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints


class Autoregressive(Distribution):
    """A distribution over `(batch, ..., time)` by `predict`: one pass to score, one pass per time step to sample.

    `predict(x)` returns the distribution of each element of `x`, of its shape; the prediction at time `t` may depend on
    `x` before `t` only, along the last axis. `like` is any tensor of the shape, type and device of what is drawn.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, predict: Callable[[Tensor], Distribution], like: Tensor) -> None:
        super().__init__(like.shape, validate_args=False)
        self.predict = predict
        self._like = like

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density of each element given those before it, of the shape of `value`."""
        return self.predict(value).log_prob(value)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = torch.Size()) -> Tensor:  # noqa: B008
        """Draw from the first time step to the last.

        Raises:
            ValueError: more than one sample is asked for; `predict` knows one batch only.
        """
        if len(sample_shape):
            raise ValueError(f"samples of shape {tuple(sample_shape)}: expected (), or a larger batch to predict")
        x = torch.zeros_like(self._like)
        for time in range(x.shape[-1]):
            x[..., time] = self.predict(x).sample()[..., time]
        return x
