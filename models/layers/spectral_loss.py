"""The multi-resolution spectral loss (Yamamoto et al. 2020, Engel et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

WINDOWS = (2048, 1024, 512, 256, 128)
_FLOOR = 3e-4
"""Floor added to magnitudes; noise of RMS 1 has magnitudes about 1."""


def spectral_distance(sound: Tensor, target: Tensor, windows: Sequence[int] = WINDOWS) -> Tensor:
    """Return the distance of sounds `(B, T)`, `(B,)`: the mean over windows of two terms.

    One is the difference of magnitudes as a share of the target's, for what is loud; one that of their logarithms, for
    what is soft.
    """
    total = sound.new_zeros(len(sound))
    for length in windows:
        window = torch.hann_window(length, dtype=sound.dtype, device=sound.device)
        found, wanted = magnitudes(sound, window), magnitudes(target, window)
        linear = (found - wanted).abs().mean((1, 2)) / wanted.mean((1, 2))
        total = total + linear + (found.log() - wanted.log()).abs().mean((1, 2))
    return total / len(windows)


def magnitudes(sound: Tensor, window: Tensor) -> Tensor:
    """Return the magnitudes of short-time spectra a quarter of a window apart, `(B, T)` -> `(B, bins, frames)`."""
    spectra = torch.stft(sound, len(window), len(window) // 4, window=window, return_complex=True)
    power = (spectra.real.square() + spectra.imag.square()) / window.square().sum()
    return (power + _FLOOR**2).sqrt()


class Spectra(Distribution):
    """Sounds like `sound` `(B, 1, T)`, the less likely the further their spectra are: a Laplace distribution of sorts.

    Its log probability, `(B,)`, is known but for a constant, in units of `weight` for each of `frames`.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, sound: Tensor, weight: float = 1.0) -> None:
        super().__init__(sound.shape[:1], sound.shape[1:], validate_args=False)
        self.sound, self._weight = sound, weight

    def log_prob(self, value: Tensor) -> Tensor:
        """Return minus the distance times the weight."""
        return -self._weight * spectral_distance(self.sound[:, 0], value[:, 0])

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = torch.Size()) -> Tensor:  # noqa: B008
        """Return the mode; the distribution has no other samples."""
        return self.sound.expand(*sample_shape, *self.sound.shape)
