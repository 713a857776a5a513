"""VAEs of handwritten digits: the dense one of Kingma and Welling 2014, and the lossy one of Chen et al. 2017.

They differ in `reach` alone. At 0, pixels are independent given the latents. Above 0, the decoder is autoregressive
with a receptive field of `reach` pixels, and latents need not carry what the neighbours determine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution

from gramophone.models.layers.masked import MaskedStack
from gramophone.models.nets.autoregressive import Autoregressive
from gramophone.models.nets.prior_flow import FlowPrior
from gramophone.models.nets.vae import VAE, gaussian

SIDE = 28
PIXELS = SIDE * SIDE
NATS = PIXELS * math.log(2)
"""Nats per digit in a bit per pixel."""


@dataclass(frozen=True)
class DigitsShape:
    """Hyperparameters of a VAE of digits.

    `latents` dimensions; `hidden` units in the one layer of encoder and decoder; receptive field `reach` in pixels and
    `channels` of the masked convolutions; `couplings` of a flow as prior (0: N(0, I)).
    """

    latents: int = 20
    hidden: int = 400
    reach: int = 0
    channels: int = 16
    couplings: int = 0


class DigitsVAE(VAE):
    """Digits `(B, 784)`, 0 to 1: grey levels where pixels are independent, 0 or 1 where autoregressive."""

    maps = 4
    """Feature maps into which latents are decoded to condition the masked convolutions."""

    def __init__(self, shape: DigitsShape) -> None:
        super().__init__()
        self.shape = shape
        latents, hidden = shape.latents, shape.hidden
        maps = self.maps if shape.reach else 1
        self.encoder = nn.Sequential(nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latents))
        self.decoder = nn.Sequential(nn.Linear(latents, hidden), nn.ReLU(), nn.Linear(hidden, maps * PIXELS))
        if shape.reach:
            self.neighbours = MaskedStack(maps, shape.channels, shape.reach)
            self.head = nn.Conv2d(shape.channels, 1, 1)
        if shape.couplings:
            self.flow = FlowPrior(latents, shape.couplings)

    def posterior(self, x: Tensor, *given: Tensor) -> Distribution:
        """Return a Gaussian by dimension."""
        return gaussian(self.encoder(x))

    def prior(self, *given: Tensor) -> Distribution:
        """Return N(0, I), or the flow."""
        return self.flow() if self.shape.couplings else super().prior()

    def conditional(self, z: Tensor, *given: Tensor) -> Distribution:
        """Return a Bernoulli for each pixel, given the pixels in its receptive field."""
        numbers = self.decoder(z)
        if not self.shape.reach:
            return _bernoulli(numbers)
        maps = numbers.reshape(-1, self.maps, SIDE, SIDE)
        return Autoregressive(lambda x: self._predict(x, maps), numbers[:, :PIXELS])

    def _predict(self, x: Tensor, maps: Tensor) -> Distribution:
        features = self.neighbours(x.reshape(-1, 1, SIDE, SIDE), maps)
        return _bernoulli(self.head(features).flatten(1))


def _bernoulli(logits: Tensor) -> Bernoulli:
    """Return a Bernoulli that also scores grey levels, as the mean over pixels sampled from them."""
    return Bernoulli(logits=logits, validate_args=False)
