"""Measures of posterior collapse, for any VAE.

KL by dimension, active units (Burda et al. 2016), and the likelihood with wrong latents. The last overestimates what
the latents carry, for a decoder may rely on latents that are redundant: the fair comparison is with an unconditional
twin, trained as long, in bits plus KL.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gramophone.models.nets.vae import VAE, kl_per_dimension, per_example

_NAT = 1 / math.log(2)


@dataclass(frozen=True)
class LatentUsage:
    """Measures of a model. Bits are per element of what is encoded: per sample, per pixel.

    `kl` `(D,)` nats per dimension (and per frame); `active` `(D,)` by the variance of the posterior's mean; `kl_bits`
    the cost of all latents; `bits` the cost of decoding, by which latents were used: `right`, `shuffled` in time
    (a series only), `another` example's, `zero`.
    """

    kl: Tensor
    active: Tensor
    kl_bits: float
    bits: dict[str, float]

    @property
    def total(self) -> float:
        """Bits with the right latents plus their KL, to compare with the twin's bits."""
        return self.bits["right"] + self.kl_bits

    def above(self, free_nats: float) -> int:
        """How many dimensions cost more than the free bits."""
        return int((self.kl > free_nats).sum())


@torch.no_grad()
def measure(vae: VAE, batches: Iterable[Sequence[Tensor]], generator: torch.Generator) -> LatentUsage:
    """Measure over batches `(x, *given)` of at least two examples each.

    Raises:
        ValueError: there are no batches.
    """
    kls, means, bits, elements = [], [], dict[str, float](), 0
    for x, *given in batches:
        bound = vae(x, *given)
        kls.append(bound.kl)
        means.append(vae.posterior(x, *given).mean)
        elements += x.numel()
        for name, z in ablations(bound.z, generator).items():
            cost = -per_example(vae.conditional(z, *given).log_prob(x)).sum().item() * _NAT
            bits[name] = bits.get(name, 0.0) + cost
    if not kls:
        raise ValueError("no batches to measure the latents on")
    kl = torch.cat(kls)
    return LatentUsage(
        kl_per_dimension(kl),
        active_units(torch.cat(means)),
        kl.sum().item() * _NAT / elements,
        {name: cost / elements for name, cost in bits.items()},
    )


def active_units(means: Tensor, threshold: float = 0.01) -> Tensor:
    """Return which dimensions move with the input: the posterior's mean varies by more, `(N, D, ...)` -> `(D,)`.

    The measure, and the threshold of 0.01 for a prior of unit variance, are those of Burda et al. 2016.
    """
    series = means.transpose(0, 1).flatten(1)
    return (series - series.mean(1, keepdim=True)).square().mean(1) > threshold


def ablations(z: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Return latents `(B, D)` or `(B, D, n)` by what is wrong with them.

    Raises:
        ValueError: a batch of one has no other example.
    """
    if len(z) < 2:
        raise ValueError("a batch of one example: expected two or more, to swap their latents")
    wrong = {"right": z}
    if z.dim() > 2:
        order = torch.randperm(z.shape[2], generator=generator).to(z.device)
        wrong["shuffled"] = z[:, :, order]
    return wrong | {"another": z.roll(1, 0), "zero": torch.zeros_like(z)}
