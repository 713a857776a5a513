"""Spectral envelopes: a few points, evenly spaced in mel, read off at any frequency.

Harmonics that take their strength from an envelope keep their formants wherever the pitch goes (source and filter, Fant
1960); noise reads the same kind of envelope.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gramophone.models.layers.mel import hz_to_mel


def read(envelope: Tensor, hz: Tensor, highest: float) -> Tensor:
    """Return the values of envelopes at frequencies, linear in mel between points: `(B, P, n)`, `(B, M, n)` -> `hz`'s.

    The points lie evenly in mel from 0 to `highest` Hz; beyond it holds the last.
    """
    last = envelope.shape[1] - 1
    top = float(hz_to_mel(torch.tensor(highest)))
    return between(envelope, hz_to_mel(hz) * (last / top))


def between(values: Tensor, places: Tensor) -> Tensor:
    """Return values at places between their numbers, 0 to P - 1 and held beyond: `(B, P, n)`, `(B, M, n)` -> same."""
    last = values.shape[1] - 1
    place = places.clamp(0, last)
    below = place.floor().clamp_max(last - 1)
    index = below.long()
    low, high = values.gather(1, index), values.gather(1, index + 1)
    return low + (high - low) * (place - below)
