"""Streaming layers made of streaming layers: one after the other, side by side, and around each other.

Hop, up and delay are values that compose, so a network states its latency before any input, and
branches that differ in latency are aligned where they meet.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal, cast

import torch
from torch import Tensor, nn

from gramophone.models.layers.streaming import State, Streaming


class Delay(Streaming):
    """The input, `samples` later: `(B, C, T, ...)` -> `(B, C, T, ...)`."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        if samples < 0:
            raise ValueError(f"a delay of {samples} samples: expected 0 or more")
        self.delay = samples

    def initial_state(self, x: Tensor) -> State:
        """Zeros for the samples held back."""
        return (x.new_zeros(*x.shape[:2], self.delay, *x.shape[3:]),) if self.delay else ()

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Let out what is old enough and keep the rest."""
        if not self.delay:
            return x, ()
        time = x.shape[2]
        known = torch.cat([state[0], x], 2)
        return known[:, :, :time], (known[:, :, time:].clone(memory_format=torch.contiguous_format),)


class _Composition(Streaming):
    """Layers that are handed the same controls and whose states lie one after the other in one tuple."""

    def __init__(self, layers: Iterable[Streaming]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        if not self.layers:
            raise ValueError("a composition of no layers")
        self._sizes: tuple[int, ...] = ()

    @abstractmethod
    def _initial_states(self, x: Tensor) -> list[State]:
        """Return the state of silence of every layer."""

    def initial_state(self, x: Tensor) -> State:
        """Join the layers' states, in order."""
        states = self._initial_states(x)
        self._sizes = tuple(len(state) for state in states)
        return _flat(states)

    def _layers_with(self, state: State, x: Tensor) -> Iterable[tuple[Streaming, State]]:
        """Yield every layer with its own part of `state`."""
        if not self._sizes:  # how many tensors a layer remembers is fixed, so it is found once
            self.initial_state(x)
        start = 0
        for layer, size in zip(self._streams, self._sizes, strict=True):
            yield layer, state[start : start + size]
            start += size

    @property
    def _streams(self) -> Sequence[Streaming]:
        return cast("Sequence[Streaming]", self.layers)


class Sequential(_Composition):
    """Layers one after the other.

    To size the later layers' states, `initial_state` sends a chunk of no samples through the earlier ones,
    without controls: a layer here takes such a chunk as it comes.

    Raises:
        ValueError: no layers, or a delay that is no whole number of frames for a layer of some hop.
    """

    def __init__(self, *layers: Streaming) -> None:
        super().__init__(layers)
        self.hop, self.up, self.delay = 1, 1, 0
        for layer in layers:
            delay = Fraction(self.delay * layer.up, layer.hop)
            if delay.denominator != 1:
                missing = -self.delay % layer.hop
                raise ValueError(
                    f"a delay of {self.delay} samples is no whole number of frames of {layer.hop}: "
                    f"put Delay({missing}) before {type(layer).__name__}"
                )
            self.delay = int(delay) + layer.delay
            # So many hops that what comes out of them is whole hops of this layer.
            hops = layer.hop // math.gcd(self.up, layer.hop)
            self.hop, self.up = self.hop * hops, self.up * hops // layer.hop * layer.up

    def _initial_states(self, x: Tensor) -> list[State]:
        states: list[State] = []
        with torch.no_grad():
            for layer in self._streams:
                states.append(layer.initial_state(x))
                x, _ = layer.step(x[:, :, :0], states[-1])
        return states

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Run one chunk through every layer in turn."""
        states: list[State] = []
        for layer, own in self._layers_with(state, x):
            x, own = layer.step(x, own, *controls)
            states.append(own)
        return x, _flat(states)


class Parallel(_Composition):
    """Branches with the same input, aligned in time and then summed, or stacked along the channels.

    The quicker branches are delayed to the slowest one.

    Raises:
        ValueError: no branches, or branches whose outputs differ in rate.
    """

    def __init__(self, *branches: Streaming, merge: Literal["sum", "stack"] = "sum") -> None:
        slowest = max((branch.delay for branch in branches), default=0)
        super().__init__(_delayed(branch, slowest - branch.delay) for branch in branches)
        rates = {Fraction(branch.up, branch.hop) for branch in branches}
        if len(rates) > 1:
            raise ValueError(f"branches that give {', '.join(map(str, sorted(rates)))} samples per input sample")
        self.merge = merge
        self.delay = slowest
        self.hop = math.lcm(*(branch.hop for branch in branches))
        self.up = int(self.hop * rates.pop())

    def _initial_states(self, x: Tensor) -> list[State]:
        return [layer.initial_state(x) for layer in self._streams]

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Run one chunk through every branch and merge what comes out."""
        steps = [layer.step(x, own, *controls) for layer, own in self._layers_with(state, x)]
        outputs = [y for y, _ in steps]
        y = torch.cat(outputs, 1) if self.merge == "stack" else sum(outputs[1:], outputs[0])
        return y, _flat(own for _, own in steps)


class Residual(Parallel):
    """A body with the input, as late as the body is, added to its output: `(B, C, T)` -> `(B, C, T)`."""

    def __init__(self, body: Streaming) -> None:
        super().__init__(Delay(0), body)


def _delayed(layer: Streaming, samples: int) -> Streaming:
    return Sequential(layer, Delay(samples)) if samples else layer


def _flat(states: Iterable[State]) -> State:
    return tuple(tensor for state in states for tensor in state)
