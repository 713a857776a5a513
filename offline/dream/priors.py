"""Priors for music over noise that need no training data: spectra are sparse, and change slowly.

Both are terms of a dream's loss, in units that do not change with loudness, and of a spectrum in which the colours of
music are white: else nothing but the bass would count.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gramophone.offline.dream.canvas import usual_level

_LEAST = 1e-12


class Priors(nn.Module):
    """Two losses of a sound `(T,)`, at a resolution of `window` samples."""

    window: Tensor
    whiten: Tensor

    def __init__(self, window: int = 1024) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        self.register_buffer("whiten", 1 / usual_level(window // 2 + 1)[:, None], persistent=False)

    def forward(self, sound: Tensor) -> dict[str, Tensor]:
        """Return how crowded the spectrum is, and how rough.

        `crowded` is the log of the mean magnitude over the root mean square: 0 where all bins and frames are alike,
        lower the fewer stand out (Hurley and Rickard 2009). `rough` is how much the magnitudes change from frame to
        frame, of all that there is.
        """
        length = len(self.window)
        spectra = torch.stft(sound, length, length // 4, window=self.window, return_complex=True)
        magnitudes = (torch.view_as_real(spectra).square().sum(2) + _LEAST).sqrt() * self.whiten
        mean, root = magnitudes.mean(), magnitudes.square().mean().sqrt()
        change = magnitudes.diff(dim=1).abs().mean()
        return {"crowded": (mean / root).log(), "rough": change / mean}
