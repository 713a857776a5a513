"""A latent model of one's own: each hop of sound folded into a few numbers by one layer, and unfolded by another."""

from dataclasses import dataclass

from torch import nn

from gramophone.models.layers.convolution import StridedConv1d, TransposedConv1d


@dataclass(frozen=True)
class FoldedShape:
    """So many `latents` for each `hop` samples at `rate` Hz."""

    rate: int = 16_000
    hop: int = 64
    latents: int = 8


class Folded(nn.Module):
    """What training has to make good is not the example's matter."""

    Shape = FoldedShape

    def __init__(self, shape: FoldedShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = StridedConv1d(1, shape.latents, 2 * shape.hop, shape.hop)
        self.decoder = TransposedConv1d(shape.latents, 1, 2 * shape.hop, shape.hop)
