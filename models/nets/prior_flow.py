"""A learned prior over latent vectors: a normalising flow of affine couplings (Real NVP, Dinh et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, Transform, TransformedDistribution, constraints

_MOST_LOG_SCALE = 2.0


class Coupling(Transform):
    """Half of a vector scaled and moved by what `net` makes of the other half; `flip` swaps the halves.

    `net` maps `(..., D // 2)`, flipped `(..., D - D // 2)`, to a log scale and a shift for each of the rest.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, net: nn.Module, flip: bool) -> None:
        super().__init__()
        self._net = net
        self._flip = flip

    def _call(self, x: Tensor) -> Tensor:
        kept, moved = self._halves(x)
        log_scale, shift = self._affine(kept)
        return self._whole(kept, moved * log_scale.exp() + shift)

    def _inverse(self, y: Tensor) -> Tensor:
        kept, moved = self._halves(y)
        log_scale, shift = self._affine(kept)
        return self._whole(kept, (moved - shift) * (-log_scale).exp())

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the log scales, `(...)`."""
        return self._affine(self._halves(x)[0])[0].sum(-1)

    def _affine(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._net(kept).chunk(2, -1)
        return torch.tanh(log_scale) * _MOST_LOG_SCALE, shift

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        half = x.shape[-1] // 2
        first, second = x[..., :half], x[..., half:]
        return (second, first) if self._flip else (first, second)

    def _whole(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([moved, kept] if self._flip else [kept, moved], -1)


class FlowPrior(nn.Module):
    """Couplings that start as the identity: calling it gives the distribution of vectors `(D,)`, at first N(0, I).

    Raises:
        ValueError: fewer than two dimensions, which leaves no halves.
    """

    origin: Tensor

    def __init__(self, size: int, couplings: int = 4, hidden: int = 64) -> None:
        super().__init__()
        if size < 2 or couplings < 1:
            raise ValueError(f"{couplings} couplings of {size} dimensions: expected at least 1, of 2 or more")
        self.register_buffer("origin", torch.zeros(size), persistent=False)
        half = size // 2
        self.nets = nn.ModuleList(
            _conditioner(size - half if number % 2 else half, half if number % 2 else size - half, hidden)
            for number in range(couplings)
        )

    def forward(self) -> TransformedDistribution:
        """Return the distribution with the weights as they are now."""
        base = Independent(Normal(self.origin, torch.ones_like(self.origin)), 1)
        return TransformedDistribution(base, [Coupling(net, bool(n % 2)) for n, net in enumerate(self.nets)])


def _conditioner(inputs: int, moved: int, hidden: int) -> nn.Sequential:
    last = nn.Linear(hidden, 2 * moved)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last)
