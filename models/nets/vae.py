"""The variational autoencoder (Kingma and Welling 2014), for any encoder, prior and distribution of what is encoded.

A new model says what its encoder and its decoder are as distributions (`torch.distributions`), and nothing else; a
prior beyond N(0, I) is a third. Everything is in nats.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, kl_divergence

from gramophone.models.nets.autoregressive import Autoregressive

_LEAST_LOG_SCALE, _MOST_LOG_SCALE = -7.0, 7.0


@dataclass(frozen=True)
class Bound:
    """The evidence lower bound of each example, in its parts.

    `likelihood` `(B,)` is the log probability of the examples given the latents `z`; `kl` is the KL term,
    `(B, D)`, for a series `(B, D, n)`, or `(B,)` where the prior is not independent by dimension.
    """

    likelihood: Tensor
    kl: Tensor
    z: Tensor

    @property
    def elbo(self) -> Tensor:
        """The bound on the log probability of each example, `(B,)`."""
        return self.likelihood - per_example(self.kl)

    def loss(self, weight: float = 1.0, free_nats: float = 0.0) -> Tensor:
        """Return the training loss, the mean over examples.

        `weight` is that of the KL term, for warm-up (Sønderby et al. 2016). A dimension whose mean KL, over the batch
        and per frame, is below `free_nats` costs that much and has no reason to shrink: free bits (Kingma et al. 2016).
        """
        frames = math.prod(self.kl.shape[2:])
        return weight * kl_per_dimension(self.kl).clamp_min(free_nats).sum() * frames - self.likelihood.mean()


class VAE(nn.Module, ABC):
    """An encoder, a decoder and a prior as distributions; `x`, latents and conditions have the batch as first axis.

    A distribution may keep its elements apart, `batch_shape` `(B, ...)`, or join them; latents should be kept apart,
    `(B, D)` or `(B, D, n)`, so that the KL term of each dimension is known. The conditioning `given` reaches all three.
    """

    origin: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(()), persistent=False)

    @abstractmethod
    def posterior(self, x: Tensor, *given: Tensor) -> Distribution:
        """Return the distribution of the latents of `x`, one that `rsample` can draw from."""

    @abstractmethod
    def conditional(self, z: Tensor, *given: Tensor) -> Distribution:
        """Return the likelihood p(x | z) given latents `z`."""

    def prior(self, *given: Tensor) -> Distribution:
        """Return the prior of the latents: N(0, I), of any shape."""
        return Normal(self.origin, self.origin + 1)

    def forward(self, x: Tensor, *given: Tensor, sampled: bool = False) -> Bound:
        """Return the bound from one sample of the latents; the KL in closed form where there is one.

        With `sampled`, the KL is that of the sample in any case.
        """
        posterior = self.posterior(x, *given)
        z = posterior.rsample()
        likelihood = per_example(self.conditional(z, *given).log_prob(x))
        kl = sampled_kl if sampled else closed_kl
        return Bound(likelihood, kl(posterior, self.prior(*given), z), z)

    @torch.no_grad()
    def importance_bound(self, x: Tensor, samples: int, *given: Tensor, at_once: int = 16) -> Tensor:
        """Return the importance-weighted bound (Burda et al. 2016) of each example, `(B,)`, from so many latents.

        It grows with `samples`, towards the log probability. `at_once` latents per example are in memory at a time.

        Raises:
            ValueError: there are no samples.
        """
        if samples < 1 or at_once < 1:
            raise ValueError(f"{samples} samples, {at_once} at once: expected at least 1")
        posterior = self.posterior(x, *given)
        total = x.new_full(x.shape[:1], -math.inf, dtype=self.origin.dtype)
        for first in range(0, samples, at_once):
            z = posterior.sample(torch.Size([min(at_once, samples - first)]))
            total = torch.logaddexp(total, self._log_weights(posterior, z, x, given).logsumexp(0))
        return total - math.log(samples)

    def _log_weights(self, posterior: Distribution, z: Tensor, x: Tensor, given: tuple[Tensor, ...]) -> Tensor:
        """Return log p(x, z) - log q(z) of latents `(n, B, ...)`, `(n, B)`."""
        count = len(z)
        many_x, *many_given = (value.expand(count, *value.shape).flatten(0, 1) for value in (x, *given))
        many_z = z.flatten(0, 1)
        joint = per_example(self.conditional(many_z, *many_given).log_prob(many_x))
        joint = joint + per_example(self.prior(*many_given).log_prob(many_z))
        return joint.reshape(count, -1) - _joined(posterior.log_prob(z), 2)


def gaussian(numbers: Tensor) -> Normal:
    """Return the Gaussian of a network's output, mean and log scale: `(B, 2 * D, ...)` -> `(B, D, ...)`."""
    mean, log_scale = numbers.chunk(2, 1)
    return Normal(mean, log_scale.clamp(_LEAST_LOG_SCALE, _MOST_LOG_SCALE).exp(), validate_args=False)


def per_example(values: Tensor) -> Tensor:
    """Sum all but the first axis: `(B, ...)` -> `(B,)`."""
    return _joined(values, 1)


def kl_per_dimension(kl: Tensor) -> Tensor:
    """Return the mean KL of each dimension, per frame for a series: `(B, D, ...)` -> `(D,)`."""
    by_dimension = kl.reshape(len(kl), 1) if kl.dim() == 1 else kl
    return by_dimension.transpose(0, 1).flatten(1).mean(1)


def closed_kl(posterior: Distribution, prior: Distribution, z: Tensor) -> Tensor:
    """Return the KL divergence in closed form; of the sample `z` where torch knows none.

    Given a sample of the past, an autoregressive prior has a closed form for every element, if the posterior's
    elements are independent; on average over samples these add up to the divergence, and none is below zero.
    """
    closed = prior.predict(z) if isinstance(prior, Autoregressive) else prior
    try:
        return kl_divergence(posterior, closed)
    except NotImplementedError:  # the only way in which torch says that it has none for two distributions
        return sampled_kl(posterior, prior, z)


def sampled_kl(posterior: Distribution, prior: Distribution, z: Tensor) -> Tensor:
    """Return log q(z) - log p(z), by dimension if both are."""
    inside, outside = posterior.log_prob(z), prior.log_prob(z)
    axes = min(inside.dim(), outside.dim())
    return _joined(inside, axes) - _joined(outside, axes)


def _joined(values: Tensor, axes: int) -> Tensor:
    """Sum over what comes after the first `axes` axes."""
    return values.flatten(axes).sum(axes) if values.dim() > axes else values
