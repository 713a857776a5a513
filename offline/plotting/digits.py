"""Pictures of what a VAE of digits does: what it makes of digits, of its prior, and of every place of two latents."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gramophone.models.nets.digits import SIDE, DigitsVAE
from gramophone.presets.atomic import atomic_write

_GRID = 15
"""Places along each of the manifold's latents."""
_EDGE = 0.02
"""The probability left out at each end of them."""


@torch.no_grad()
def reconstructions(model: DigitsVAE, digits: Tensor) -> Tensor:
    """Return digits `(n, 784)` above what their latents decode to: `(2, n, 784)`."""
    return torch.stack([digits, decoded(model, model.posterior(digits).mean)])


@torch.no_grad()
def samples(model: DigitsVAE, rows: int, columns: int) -> Tensor:
    """Return digits drawn from the prior, `(rows, columns, 784)`."""
    shape = torch.Size([rows * columns])
    z = model.prior().sample(shape if model.shape.couplings else (*shape, model.shape.latents))
    return decoded(model, z).reshape(rows, columns, -1)


@torch.no_grad()
def manifold(model: DigitsVAE) -> Tensor:
    """Return what every place of two latents decodes to, even in their probability, `(15, 15, 784)`.

    Raises:
        ValueError: the model has not two latents.
    """
    if model.shape.latents != 2:
        raise ValueError(f"a manifold of {model.shape.latents} latents: expected a model of 2")
    places = torch.special.ndtri(torch.linspace(_EDGE, 1 - _EDGE, _GRID))
    z = torch.cartesian_prod(-places, places)
    return decoded(model, z).reshape(_GRID, _GRID, -1)


def decoded(model: DigitsVAE, z: Tensor) -> Tensor:
    """Return the digits of latents: means of independent pixels, else a sample."""
    conditional = model.conditional(z)
    return conditional.sample() if model.shape.reach else conditional.mean


def draw(tiles: Tensor, picture: Path) -> None:
    """Write digits `(rows, columns, 784)`, black on white, as one PNG, which appears whole or not at all."""
    rows, columns, _ = tiles.shape
    whole = tiles.reshape(rows, columns, SIDE, SIDE).transpose(1, 2).reshape(rows * SIDE, columns * SIDE)
    ink = (255 * (1 - whole)).round().byte().numpy()
    with atomic_write(picture) as part:
        Image.fromarray(ink).save(part, format="png")
