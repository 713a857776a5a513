"""A learned prior over series of latents: each frame a Gaussian given those before it, by causal convolutions.

As a map from noise to latents this is an affine autoregressive flow (Kingma et al. 2016), the prior of the Variational
Lossy Autoencoder (Chen et al. 2017). Dimensions of one frame are independent given the past.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramophone.models.layers.composition import Sequential
from gramophone.models.layers.convolution import CausalConv1d
from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.nets.autoregressive import Autoregressive
from gramophone.models.nets.decoder import residual_unit
from gramophone.models.nets.vae import gaussian


class SeriesPrior(Streaming):
    """Latents so far -> mean and log scale of the next: `(B, D, n)` -> `(B, 2 * D, n)`, delay 0; at first N(0, I).

    Prediction `t` is of frame `t + 1`. Before the first frame there were zeros.
    """

    def __init__(self, size: int, width: int = 64, dilations: Sequence[int] = (1, 2, 4), kernel: int = 3) -> None:
        super().__init__()
        last = CausalConv1d(width, 2 * size, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        units = [residual_unit(width, kernel, dilation) for dilation in dilations]
        self.layers = Sequential(CausalConv1d(size, width, 1), *units, last)

    def initial_state(self, x: Tensor) -> State:
        """Zeros in every layer."""
        return self.layers.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Predict what follows each frame of a chunk."""
        return self.layers.step(x, state)

    def distribution(self, like: Tensor) -> Autoregressive:
        """Return the distribution of whole series of the shape of `like`, `(B, D, n)`."""
        return Autoregressive(lambda z: gaussian(self(F.pad(z, (1, -1)))[0]), like)

    @torch.no_grad()
    def drawn(self, noise: Tensor, last: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """Return the series that standard normal `noise` `(B, D, n)` stands for, and the state after it.

        To continue a series, pass the last frame drawn, `(B, D, 1)`, and the state.
        """
        frame = torch.zeros_like(noise[:, :, :1]) if last is None else last
        state = self.initial_state(noise) if state is None else state
        frames = []
        for time in range(noise.shape[2]):
            numbers, state = self.step(frame, state)
            following = gaussian(numbers)
            frame = following.mean + following.scale * noise[:, :, time : time + 1]
            frames.append(frame)
        return torch.cat(frames, 2), state
