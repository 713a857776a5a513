"""What a voice model hears of a sound: its shape, whatever its level, and its loudness apart from that."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gramophone.models.features import SCALE, LogMel
from gramophone.models.streaming import State, Streaming

FINE_BANDS, FINE = 8, 4
"""Bands that are heard several times a frame, so that it is known where in the frame a consonant bursts."""
SILENCE = -11.5
"""Loudness, in nats, from which on down there is nothing to hear: -100 dBFS."""
_FAINTEST = -1.5
"""Mean of log-mel frames below which their level is no longer taken out, or silence would be blown up."""


class Ear(Streaming):
    """Sound `(B, 1, T)` -> log-mel frames, `(B, bands + FINE * FINE_BANDS, T / hop)`.

    The bands look at a window of four hops that ends with the frame's; the fine bands, a group for each part of the
    hop in turn, at one of a hop.
    """

    def __init__(self, rate: int, hop: int, bands: int) -> None:
        super().__init__()
        self.hop = hop
        self.coarse = LogMel(rate, hop, bands)
        self.fine = LogMel(rate, hop // FINE, FINE_BANDS)

    def initial_state(self, x: Tensor) -> State:
        """Silence before."""
        return *self.coarse.initial_state(x), *self.fine.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the frames of one chunk."""
        coarse, heard = self.coarse.step(x, state[:1])
        fine, heard_finely = self.fine.step(x, state[1:])
        parts = fine.reshape(x.shape[0], FINE_BANDS, x.shape[2] // self.hop, FINE).permute(0, 3, 1, 2).flatten(1, 2)
        return torch.cat([coarse, parts], 1), (*heard, *heard_finely)


class Level(nn.Module):
    """Takes the level of each frame, as its `bands` tell it, out of all of the frame."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bands = bands

    def forward(self, frames: Tensor) -> Tensor:
        """Return frames at one level, those near silence as quiet as they are."""
        level = (SCALE * frames[:, : self.bands]).logsumexp(1, keepdim=True) - math.log(self.bands)
        return frames - (level / SCALE).clamp_min(_FAINTEST)


class Loudness(Streaming):
    """Sound `(B, 1, T)` -> its loudness, `(B, 1, T / hop)`: the logarithm of the RMS in a Hann window of two hops.

    A frame's window ends with its hop: it speaks of the end of the hop before, which is the `delay`. `SILENCE` is the
    least.
    """

    delay = 1
    window: Tensor

    def __init__(self, hop: int) -> None:
        super().__init__()
        self.hop = hop
        window = torch.hann_window(2 * hop)
        self.register_buffer("window", window / window.sum(), persistent=False)

    def initial_state(self, x: Tensor) -> State:
        """Silence before."""
        return (x.new_zeros(x.shape[0], 1, 1),)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the frames of one chunk."""
        hops = x.reshape(x.shape[0], 1, x.shape[2] // self.hop, self.hop).square()
        rising, falling = (hops @ half for half in self.window.chunk(2))
        known = torch.cat([state[0], rising], 2)
        power = known[:, :, :-1] + falling
        return power.clamp_min(math.exp(2 * SILENCE)).log() / 2, (known[:, :, -1:].clone(),)
