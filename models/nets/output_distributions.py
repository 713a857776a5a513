"""Distributions of the next sample of an autoregressive model: 256 mu-law classes, or a mixture of logistics.

Both read and write sound as *symbols*: int64 mu-law levels, or float samples. Uniform random numbers are passed
in, so that sampling is reproducible.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.layers import mulaw


class Output(ABC):
    """A distribution of the next sample, parametrised by `width` channels."""

    uniforms: ClassVar[int]
    """Uniform random numbers per sample."""

    def __init__(self, width: int) -> None:
        self.width = width

    @abstractmethod
    def symbols(self, sound: Tensor) -> Tensor:
        """Return `sound`, -1 to 1, of any shape, as the symbols that the model reads."""

    @abstractmethod
    def sound(self, symbols: Tensor) -> Tensor:
        """Return the sound of symbols, -1 to 1."""

    @abstractmethod
    def bits(self, predicted: Tensor, symbols: Tensor) -> Tensor:
        """Return the negative log likelihood of each symbol in bits: `(B, width, T)`, `(B, T)` -> `(B, T)`."""

    @abstractmethod
    def draw(self, predicted: Tensor, uniform: Tensor, temperature: float, nucleus: float) -> Tensor:
        """Return a symbol each: `(B, width)`, `(B, uniforms)` within [0, 1) -> `(B,)`.

        `temperature` below 1 makes the likely likelier; `nucleus` keeps the likeliest symbols that together have that
        probability (Holtzman et al. 2020).
        """


class Categorical(Output):
    """256 mu-law levels with a probability each (van den Oord et al. 2016); the numbers are logits."""

    uniforms = 1

    def __init__(self) -> None:
        super().__init__(mulaw.LEVELS)

    def symbols(self, sound: Tensor) -> Tensor:
        """Encode as levels."""
        return mulaw.encode(sound)

    def sound(self, symbols: Tensor) -> Tensor:
        """Decode levels."""
        return mulaw.decode(symbols)

    def bits(self, predicted: Tensor, symbols: Tensor) -> Tensor:
        """Cross entropy in bits."""
        return F.cross_entropy(predicted.float(), symbols, reduction="none") / math.log(2)

    def draw(self, predicted: Tensor, uniform: Tensor, temperature: float, nucleus: float) -> Tensor:
        """Walk up the levels until their probability exceeds the uniform number."""
        if temperature <= 0:
            return predicted.argmax(1)
        probability = torch.softmax(predicted.double() / temperature, 1)
        if nucleus < 1:
            probability = _within(probability, nucleus)
        cumulative = probability.cumsum(1)
        return (cumulative <= uniform.double() * cumulative[:, -1:]).sum(1).clamp_max(mulaw.LEVELS - 1)


class Logistics(Output):
    """A mixture of logistics over 16-bit samples (Salimans et al. 2017): per component weight, mean, log scale.

    The nucleus is one of components: those of least weight are left out.
    """

    uniforms = 2
    least_log_scale = -9.0
    """A component narrower than this would be a spike between two 16-bit levels."""
    half_step = 1 / 65535

    def __init__(self, components: int = 10) -> None:
        super().__init__(3 * components)

    def symbols(self, sound: Tensor) -> Tensor:
        """Keep samples as they are, but within -1 to 1."""
        return sound.clamp(-1, 1)

    def sound(self, symbols: Tensor) -> Tensor:
        """Keep samples as they are."""
        return symbols

    def bits(self, predicted: Tensor, symbols: Tensor) -> Tensor:
        """Bits for the 16-bit level that the sample lies in; the outermost levels hold all that is beyond."""
        weights, means, log_scales = predicted.float().chunk(3, 1)
        inverse = torch.exp(-log_scales.clamp_min(self.least_log_scale))
        centred = symbols[:, None] - means
        upper, lower = inverse * (centred + self.half_step), inverse * (centred - self.half_step)
        middle = inverse * centred
        # Where the level is too narrow for a difference of two sigmoids, its density times its width.
        dense = (
            middle - log_scales.clamp_min(self.least_log_scale) - 2 * F.softplus(middle) + math.log(2 * self.half_step)
        )
        mass = torch.sigmoid(upper) - torch.sigmoid(lower)
        inside = torch.where(mass > 1e-5, mass.clamp_min(1e-12).log(), dense)
        x = symbols[:, None]
        edge = 1 - self.half_step
        log_mass = torch.where(x > edge, -F.softplus(lower), torch.where(x < -edge, F.logsigmoid(upper), inside))
        return -torch.logsumexp(torch.log_softmax(weights, 1) + log_mass, 1) / math.log(2)

    def draw(self, predicted: Tensor, uniform: Tensor, temperature: float, nucleus: float) -> Tensor:
        """Choose a component by the first uniform number, and a place in it by the second."""
        weights, means, log_scales = predicted.double().chunk(3, 1)
        probability = torch.softmax(weights / max(temperature, 1e-3), 1)
        if nucleus < 1:
            probability = _within(probability, nucleus)
        cumulative = probability.cumsum(1)
        chosen = (cumulative <= uniform[:, :1].double() * cumulative[:, -1:]).sum(1, keepdim=True)
        chosen = chosen.clamp_max(weights.shape[1] - 1)
        mean, log_scale = means.gather(1, chosen)[:, 0], log_scales.gather(1, chosen)[:, 0]
        place = uniform[:, 1].double().clamp(1e-5, 1 - 1e-5)
        spread = log_scale.clamp_min(self.least_log_scale).exp() * temperature
        return (mean + spread * (place.log() - (-place).log1p())).clamp(-1, 1).to(predicted.dtype)


def _within(probability: Tensor, nucleus: float) -> Tensor:
    """Return `(B, N)` probabilities with all but the likeliest, which together reach `nucleus`, made zero."""
    ordered, order = probability.sort(dim=1, descending=True, stable=True)
    kept = ordered.cumsum(1) - ordered < nucleus
    return probability * torch.zeros_like(kept).scatter(1, order, kept)


def output_of(kind: str, components: int = 10) -> Output:
    """Return the output called `kind`: `mulaw` or `logistics`.

    Raises:
        ValueError: there is none of that name.
    """
    if kind == "mulaw":
        return Categorical()
    if kind == "logistics":
        return Logistics(components)
    raise ValueError(f"output {kind!r}: expected mulaw or logistics")
