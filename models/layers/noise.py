"""Noise of any spectrum that changes from grain to grain: white noise through a filter that glides between two.

The filters have no phase, and noise has no time of its own, so nothing is late: the sound of a grain ends under its own
filter (Engel et al. 2020 cross-fade whole frames instead).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gramophone.models.layers.streaming import State, Streaming

_LOOP = 1 << 18
"""Samples after which the noise comes again: too long, 16 s at 16 kHz, to be noticed."""


class NoiseBank(Streaming):
    """Magnitudes `(B, bands, n)`, evenly spaced from 0 Hz to half the rate -> sound `(B, 1, n * grain)`, delay 0.

    Magnitudes of 1 give white noise of RMS 1. State: the filter so far, `(B, 1, taps)`, and how much of the noise is
    used up, `(B, 1)` samples.
    """

    noise: Tensor
    filters: Tensor
    ramp: Tensor

    def __init__(self, grain: int, bands: int) -> None:
        super().__init__()
        self.up = grain
        self.taps = 2 * (bands - 1)
        seeded = torch.Generator().manual_seed(0)
        self.register_buffer("noise", (torch.rand(_LOOP, generator=seeded) * 2 - 1) * 3**0.5, persistent=False)
        self.register_buffer("filters", _zero_phase(bands), persistent=False)
        self.register_buffer("ramp", torch.arange(1, grain + 1) / grain, persistent=False)

    def initial_state(self, x: Tensor) -> State:
        """Return the state before any noise."""
        return x.new_zeros(x.shape[0], 1, self.taps), torch.zeros(x.shape[0], 1, dtype=torch.int64, device=x.device)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Sound for one chunk."""
        old, used = state
        now = x.transpose(1, 2) @ self.filters.to(x.dtype)
        known = torch.cat([old, now], 1)
        span = x.shape[2] * self.up
        places = (used + torch.arange(span + self.taps, device=x.device)) % len(self.noise)
        taken = self.noise.to(x.dtype)[places].unfold(1, self.taps, 1)[:, :span]
        grains = taken.reshape(x.shape[0], x.shape[2], self.up, self.taps)
        first, last = (grains @ torch.stack([known[:, :-1], now], 3)).unbind(3)
        sound = torch.lerp(first, last, self.ramp.to(x.dtype))
        return sound.flatten(1)[:, None], (known[:, -1:].clone(), (used + span) % len(self.noise))


def _zero_phase(bands: int) -> Tensor:
    """Return what turns magnitudes into a symmetrical filter under a Hann window, `(bands, 2 * (bands - 1))`."""
    taps = 2 * (bands - 1)
    responses: Tensor = torch.fft.irfft(torch.eye(bands, dtype=torch.float64), taps)
    window = torch.hann_window(taps, dtype=torch.float64)
    return (responses.roll(taps // 2, 1) * window).float()
