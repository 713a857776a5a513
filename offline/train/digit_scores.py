"""Scores of a VAE of digits: likelihood bounds in nats per digit, and the use of its latents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gramophone.models.nets.digits import NATS, PIXELS, DigitsVAE
from gramophone.models.nets.posterior_collapse import measure
from gramophone.offline.data.mnist import Bytes

_BATCH = 100
_SEED = 2
"""Seed of the latents sampled; the same for every model."""
_SAMPLES = 64
_AT_ONCE = 4
_FLOOR = 0.1
"""Least KL in nats of a latent that counts as used."""


def grey(images: Bytes) -> Tensor:
    """Return grey levels 0 to 1: `(n, 28, 28)` -> `(n, 784)`."""
    return torch.from_numpy(images.reshape(-1, PIXELS)).float() / 255


def drawn(levels: Tensor, seed: int, number: int = 0) -> Tensor:
    """Return pixels of 0 or 1, drawn from grey levels (Salakhutdinov and Murray 2008) by seed and number."""
    chance = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, number])).random(levels.shape, np.float32)
    return (torch.from_numpy(chance) < levels).float()


@torch.no_grad()
def score(model: DigitsVAE, digits: Tensor, samples: int = _SAMPLES) -> dict[str, float]:
    """Return the scores of a model on digits `(n, 784)`, in nats per digit.

    `elbo`; `importance`, the importance-weighted bound from `samples` latents; `kl`; `active` by Burda's measure,
    `above` those of more than 0.1 nats; `right`, `another` and `zero` are the log probabilities given such latents.
    """
    torch.manual_seed(_SEED)
    found = measure(model, _batches(digits), torch.Generator().manual_seed(_SEED))
    importance = [model.importance_bound(x, samples, at_once=_AT_ONCE) for (x,) in _batches(digits)]
    nats = {name: -bits * NATS for name, bits in found.bits.items()}
    return {
        "elbo": -found.total * NATS,
        "importance": float(torch.cat(importance).mean()),
        "kl": found.kl_bits * NATS,
        "active": int(found.active.sum()),
        "above": found.above(_FLOOR),
        **nats,
    }


def _batches(digits: Tensor) -> Iterator[tuple[Tensor]]:
    for start in range(0, len(digits), _BATCH):
        yield (digits[start : start + _BATCH],)
