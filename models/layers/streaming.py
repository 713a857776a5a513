"""The streaming contract: a model is a pure step, and no state means silence before.

Offline is streaming from silence in one chunk, so there is one code path. State is a flat tuple of tensors of fixed
shape; a composition concatenates its parts' states and adds up their delays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

State = tuple[Tensor, ...]


class Streaming(nn.Module, ABC):
    """A causal module that gives the same samples whole or in chunks.

    Input `(batch, channels, time)`, output `(batch, channels', time * up / hop)`. `hop` is the number of input samples
    that a chunk's length must be a multiple of; `up` is the number of output samples per `hop` input samples.
    `delay` is the latency in **output** samples: output sample `n` describes input time `(n - delay) * hop / up`.
    Subclasses with other numbers set them in their constructor.
    """

    delay: int = 0
    hop: int = 1
    up: int = 1

    @abstractmethod
    def initial_state(self, x: Tensor) -> State:
        """Return the state of silence for input like `x` (its batch, device and dtype count, its values do not)."""

    @abstractmethod
    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the output for the chunk `x` and the state after it. Neither `x` nor `state` is changed."""

    def forward(self, x: Tensor, state: State | None = None, *controls: Tensor) -> tuple[Tensor, State]:
        """Run one chunk; `state=None` is silence before it."""
        return self.step(x, self.initial_state(x) if state is None else state, *controls)


class Pointwise(Streaming):
    """A stateless module (activation, 1x1 map, gain) as a link of a streaming chain."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def initial_state(self, x: Tensor) -> State:
        """No memory."""
        return ()

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Apply the module."""
        return self.module(x), ()
