"""The baseline of 2016: a spectrogram near the content's, with the Gram matrix of the style's.

Foote, Yang and Rohaninejad, "Audio style transfer" (2016). Its features see one frame at a time, so the Gram knows
which frequencies sound together on average, not how they move: the style comes out as a hum behind the content.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gramophone.models.style.gram import gram
from gramophone.offline.stylise.method import TransferMethod, share

_WINDOW, _HOP = 2048, 512


class Stft(TransferMethod):
    """Descends in a complex short-time spectrum, as `librosa.stft` makes it by default, `(F, n, 2)`."""

    rate = 22_050
    steps = 100
    balance = 0.5
    keeps_quiet = False

    def __init__(self, content: Tensor, style: Tensor) -> None:
        self._length = len(content)
        self._window = torch.hann_window(_WINDOW, device=content.device)
        self._content, wanted = self._spectrum(content), self._spectrum(style)
        self._before, self._wanted = _gram(self._content), _gram(wanted)

    def start(self) -> Tensor:
        """Return the content's spectrum."""
        return self._content.clone()

    def content_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the energy of what was changed, of all."""
        return {"spectrum": share(x, self._content, torch.zeros_like(x))}

    def style_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return how far the magnitudes' Gram matrix is from the style's."""
        return {"gram": share(_gram(x), self._wanted, self._before)}

    def sound(self, x: Tensor) -> Tensor:
        """Return the inverse transform, `librosa.istft`'s."""
        spectrum = torch.view_as_complex(x.contiguous())
        return torch.istft(spectrum, _WINDOW, _HOP, window=self._window, length=self._length)

    def _spectrum(self, sound: Tensor) -> Tensor:
        spectrum = torch.stft(sound, _WINDOW, _HOP, window=self._window, pad_mode="constant", return_complex=True)
        return torch.view_as_real(spectrum)


def _gram(spectrum: Tensor) -> Tensor:
    magnitudes = (spectrum.square().sum(2) + 1e-12).sqrt()
    return gram(magnitudes[None])
