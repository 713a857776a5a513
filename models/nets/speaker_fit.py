"""A speaker's vector from a clip: gradient descent on the spectral loss of its reconstruction, with fixed weights.

The search starts from the nearest of the trained speakers, as in textual inversion (Gal et al. 2023).
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
    """Return the vector `[1, speaker]` of the speaker of a clip.

    Args:
        voice: the voice to fit a speaker for.
        z: the clip's latents, `[1, latents, T / hop]`.
        prosody: its octaves, voicing and loudness, `[1, PROSODY, T / hop]`.
        sound: the clip, `[1, 1, T]`, whole hops.
        steps: of gradient descent.
        seed: of the order in which pieces of the clip are used.

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
    """Return the trained speaker's vector whose reconstruction of some pieces has the least spectral loss."""
    with torch.no_grad():
        distances = [_distance(voice, row[None], pieces) for row in voice.table]
    return voice.table[int(torch.stack(distances).argmin())][None].detach().clone()


def _distance(voice: Voice, vector: Tensor, pieces: list[Tensor]) -> Tensor:
    z, prosody, sound = pieces
    decoded, _ = voice.decoder(z, None, vector.expand(len(z), -1), prosody)
    return spectral_distance(decoded[:, 0], sound[:, 0]).mean()


def _pieces(series: Tensor, width: int) -> Tensor:
    """Cut `(1, C, T)` into `(T // width, C, width)`."""
    count = series.shape[2] // width
    return series[0, :, : count * width].reshape(-1, count, width).transpose(0, 1).contiguous()


def _spread(count: int) -> Tensor:
    """Return the indices of a few pieces, evenly spread over `count`."""
    return torch.linspace(0, count - 1, min(_AT_ONCE, count)).round().long()
