"""A speaker from a clip: the vector by which a voice, its weights as they are, sings the clip most like itself.

It begins with whoever of the known speakers is nearest and goes downhill from there, as in textual inversion (Gal et
al. 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gramophone.models.layers.spectral_loss import spectral_distance
from gramophone.models.nets.voice import Voice

LEAST_FRAMES = 64
"""Length of the pieces that a clip is cut into, and so of the shortest clip; half a second."""
_AT_ONCE = 6
_RATE = 0.05


def fit_speaker(voice: Voice, z: Tensor, prosody: Tensor, sound: Tensor, steps: int = 100, seed: int = 0) -> Tensor:
    """Return the vector `(1, speaker)` of who is heard in `sound` `(1, 1, T)` of whole hops.

    `z` are its latents `(1, latents, T / hop)`, `prosody` how it is intoned `(1, PROSODY, T / hop)`.

    Raises:
        ValueError: the clip is shorter than half a second.
    """
    if prosody.shape[2] < LEAST_FRAMES:
        raise ValueError(f"a clip of {prosody.shape[2]} frames: expected {LEAST_FRAMES} or more")
    widths = (LEAST_FRAMES, LEAST_FRAMES, LEAST_FRAMES * voice.shape.hop)
    pieces = [_pieces(part, width) for part, width in zip((z, prosody, sound), widths, strict=True)]
    order = torch.Generator().manual_seed(seed)
    vector = _nearest(voice, [part[_spread(len(part))] for part in pieces]).requires_grad_()
    search = torch.optim.Adam([vector], _RATE)
    for _ in range(steps):
        chosen = torch.randint(len(pieces[0]), (_AT_ONCE,), generator=order)
        loss = _distance(voice, vector, [part[chosen] for part in pieces])
        (vector.grad,) = torch.autograd.grad(loss, [vector])
        search.step()
    return vector.detach()


def _nearest(voice: Voice, pieces: list[Tensor]) -> Tensor:
    """Return the known speaker who sings some pieces most like the clip."""
    with torch.no_grad():
        distances = [_distance(voice, row[None], pieces) for row in voice.table]
    return voice.table[int(torch.stack(distances).argmin())][None].detach().clone()


def _distance(voice: Voice, vector: Tensor, pieces: list[Tensor]) -> Tensor:
    z, prosody, sound = pieces
    sung, _ = voice.decoder(z, None, vector.expand(len(z), -1), prosody)
    return spectral_distance(sung[:, 0], sound[:, 0]).mean()


def _pieces(series: Tensor, width: int) -> Tensor:
    """Cut `(1, C, T)` into `(T // width, C, width)`."""
    count = series.shape[2] // width
    return series[0, :, : count * width].reshape(-1, count, width).transpose(0, 1).contiguous()


def _spread(count: int) -> Tensor:
    """Return a few places, evenly spread over so many."""
    return torch.linspace(0, count - 1, min(_AT_ONCE, count)).round().long()
