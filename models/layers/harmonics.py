"""A bank of harmonics: sines at the multiples of a pitch, each with a strength of its own (Engel et al. 2020, DDSP).

Pitch and amplitudes are given once a hop and interpolated. The phase is continuous from chunk to chunk, and no harmonic
sounds above half the sample rate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gramophone.models.layers.streaming import State, Streaming

_FADE = 0.05
"""A harmonic fades over this share of the band before it would leave it."""


class HarmonicBank(Streaming):
    """Strengths `(B, K, n)`, harmonic 1 first -> sound `(B, 1, n * hop)`, delay 0.

    The control is the pitch `(B, 1, n)` in Hz, 0 where nothing sounds. Both are reached at the end of their frame's
    hop, strengths and Hz in a straight line from the frame before. A tone begins and ends at its own pitch, its
    strength rising from zero and falling to it over a hop. State: strengths and pitch so far, and the phase in cycles.
    """

    ramp: Tensor
    numbers: Tensor

    def __init__(self, rate: int, hop: int, harmonics: int) -> None:
        super().__init__()
        self.rate, self.up = rate, hop
        self.register_buffer("ramp", torch.arange(1, hop + 1, dtype=torch.float64) / hop, persistent=False)
        self.register_buffer("numbers", torch.arange(1, harmonics + 1, dtype=torch.float32), persistent=False)

    def initial_state(self, x: Tensor) -> State:
        """Return the state after silence."""
        batch = x.shape[0]
        phase = torch.zeros(batch, 1, dtype=torch.float64, device=x.device)
        return x.new_zeros(batch, len(self.numbers), 1), x.new_zeros(batch, 1, 1), phase

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Sound for one chunk."""
        (hz,) = controls
        old, old_hz, phase = state
        strengths = torch.cat([old, x * (hz > 0)], 2)
        pitches = torch.cat([old_hz, hz], 2)
        with torch.no_grad():
            sines, phase = self._sines(pitches[:, 0, :-1], pitches[:, 0, 1:], phase)
        ends = torch.stack([strengths[:, :, :-1], strengths[:, :, 1:]], 3).transpose(1, 2)
        first, last = (sines.to(x.dtype) @ ends).unbind(3)
        sound = torch.lerp(first, last, self.ramp.to(x.dtype))
        return sound.flatten(1)[:, None], (strengths[:, :, -1:].clone(), pitches[:, :, -1:].clone(), phase)

    def _sines(self, before: Tensor, hz: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Return the harmonics at full strength, `(B, n, hop, K)`, and the phase after them."""
        start = torch.where(before > 0, before, hz).double()[..., None]
        end = torch.where(hz > 0, hz, start[..., 0]).double()[..., None]
        # In double, and without its whole cycles: a sum over minutes must not lose the phase of the 64th harmonic.
        turns = (start + end)[..., 0] * (self.up / 2 / self.rate)
        phases = torch.cat([phase, phase + turns.cumsum(1)], 1)
        gliding = (start + (end - start) * self.ramp / 2) * self.ramp * (self.up / self.rate)
        cycles = _fraction(phases[:, :-1, None] + gliding).float()
        cycles = cycles[..., None] * self.numbers
        sines = cycles.sub_(cycles.floor()).mul_(2 * math.pi).sin_()
        audible = self._audible((start + (end - start) * self.ramp).float())
        return sines.mul_(audible), _fraction(phases[:, -1:])

    def _audible(self, hz: Tensor) -> Tensor:
        """Return how much of each harmonic is let through, `(B, n, hop)` -> `(B, n, hop, K)`."""
        fade = _FADE * self.rate / 2
        return ((hz / -fade)[..., None] * self.numbers).add_(1 / _FADE).clamp_(0, 1)


def _fraction(x: Tensor) -> Tensor:
    return x - x.floor()
