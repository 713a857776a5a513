"""Texture: the sound itself descends until random convolutions over its log-mel frames hang together as the style's do.

Wide random filters (Ulyanov and Lebedev 2016) at two resolutions and with time lags (Antognini et al. 2019; Caracalla
and Roebel 2020), from the content as it is (Grinstein et al. 2018). The waveform is what moves, so no phase is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gramophone.models.style.gram import gram
from gramophone.models.style.texture import RandomFilters, TextureLogMel
from gramophone.offline.stylise.method import TransferMethod, share
from gramophone.offline.stylise.onsets import onset_envelope, unlike


@dataclass(frozen=True)
class Resolution:
    """Log-mel frames and the filters over them; `lags` in frames."""

    window: int
    hop: int
    bands: int
    filters: int
    reach: int
    lags: tuple[int, ...]


RESOLUTIONS = {
    "attacks": Resolution(512, 128, 64, 384, 11, (0, 4, 16)),
    "pitches": Resolution(2048, 512, 160, 512, 5, (0, 2, 8)),
}


class Texture(TransferMethod):
    """Descends in the sound, from the content."""

    rate = 22_050
    steps = 100
    balance = 0.65
    term_weights: ClassVar[Mapping[str, float]] = {"attacks.onsets": 6.0, "pitches.onsets": 6.0}

    def __init__(self, content: Tensor, style: Tensor) -> None:
        self._content = content
        self._layers = {name: _Layer(content, style, resolution) for name, resolution in RESOLUTIONS.items()}

    def start(self) -> Tensor:
        """Return the content."""
        return self._content.clone()

    def content_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return by resolution how unlike the content's the bands' levels move about their means, and the onsets."""
        return {
            f"{name}.{part}": loss
            for name, layer in self._layers.items()
            for part, loss in layer.content_losses(x).items()
        }

    def style_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return by resolution how far the random features' mean and lagged covariances are from the style's."""
        return {
            f"{name}.{part}": loss
            for name, layer in self._layers.items()
            for part, loss in layer.style_losses(x).items()
        }


class _Layer:
    """One resolution of one pair."""

    def __init__(self, content: Tensor, style: Tensor, resolution: Resolution) -> None:
        self._mel = TextureLogMel(Texture.rate, resolution.window, resolution.hop, resolution.bands).to(content.device)
        self._filters = RandomFilters(resolution.bands, resolution.filters, resolution.reach).to(content.device)
        self._lags = resolution.lags
        before, wanted = self._mel(content), self._mel(style)
        self._filters.fit(torch.cat([before, wanted], 1))
        self._movement, self._onsets = _about_mean(before), onset_envelope(before)
        self._before, self._wanted = self._moments(before), self._moments(wanted)

    def content_losses(self, x: Tensor) -> dict[str, Tensor]:
        levels = self._mel(x)
        moved = _about_mean(levels)
        return {
            "movement": share(moved, self._movement, torch.zeros_like(moved)),
            "onsets": unlike(onset_envelope(levels), self._onsets),
        }

    def style_losses(self, x: Tensor) -> dict[str, Tensor]:
        found = self._moments(self._mel(x))
        return {part: share(found[part], self._wanted[part], self._before[part]) for part in found}

    def _moments(self, levels: Tensor) -> dict[str, Tensor]:
        """Return mean and covariances apart: in a plain Gram the mean is so large that nothing else counts."""
        features = self._filters(levels)
        mean = features.mean(2, keepdim=True)
        covariances = gram(features - mean, self._lags)[0]
        return {"mean": mean} | {f"lag {lag}": covariances[i] for i, lag in enumerate(self._lags)}


def _about_mean(levels: Tensor) -> Tensor:
    return levels - levels.mean(1, keepdim=True)
