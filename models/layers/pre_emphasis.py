"""Pre-emphasis and its inverse: treble up before sound is coded, and down again after, with the noise of the code.

`y[t] = x[t] - a x[t-1]`, and back. As a map of whole sounds it has a determinant of 1: densities stay what they are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.layers.streaming import State, Streaming

_BLOCK = 64
"""Samples that de-emphasis computes in one matrix product."""


class Emphasis(Streaming):
    """Sound with its treble raised: `(B, 1, T)` -> `(B, 1, T)`, delay 0; an `amount` of 0 changes nothing."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def initial_state(self, x: Tensor) -> State:
        """Return the state after silence: the last input sample."""
        return (x.new_zeros(x.shape[0], 1, 1),)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Raise the treble of one chunk."""
        known = torch.cat([state[0], x], 2)
        return x - self.amount * known[:, :, :-1], (known[:, :, -1:].clone(),)


class Deemphasis(Streaming):
    """What `Emphasis` of the same amount made of a sound, turned back into it: `(B, 1, T)` -> `(B, 1, T)`, delay 0."""

    powers: Tensor

    def __init__(self, amount: float) -> None:
        super().__init__()
        since = torch.arange(_BLOCK, dtype=torch.float64)
        ages = (since[:, None] - since).clamp_min(0)
        self.register_buffer("powers", (amount**ages).tril(), persistent=False)
        self.amount = amount

    def initial_state(self, x: Tensor) -> State:
        """Return the state after silence: the last output sample."""
        return (x.new_zeros(x.shape[0], 1, 1),)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Lower the treble of one chunk: each block by itself, and what still sounds of the last one."""
        time, (last,) = x.shape[2], state
        if not time:
            return x, state
        powers = self.powers.to(x)
        blocks = F.pad(x, (0, -time % _BLOCK)).reshape(len(x), 1, -1, _BLOCK) @ powers.t()
        fading = self.amount * powers[:, 0]
        sounding = []
        for block in blocks.unbind(2):
            sounding.append(block + fading * last)
            last = sounding[-1][:, :, -1:]
        y = torch.cat(sounding, 2)[:, :, :time]
        return y, (y[:, :, -1:].clone(),)
