"""Trained ears: the sound itself descends until a tagger's activations hang together as the style's do.

The report that this began with took content from a tagger's activations and style from their Grams. So does this, but
every layer counts as a share, the Grams are about the mean and have time lags, and each band of each channel is a
feature of its own, so that pitch is not averaged away. The sound at twice its speed is analysed as well: an octave
up the windows are twice as long, which separates pitches that are one otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.nets import tagger
from gramophone.models.style.gram import gram
from gramophone.models.style.texture import TextureLogMel
from gramophone.offline.commands.tag import load_tagger
from gramophone.offline.stylise.method import TransferMethod, share
from gramophone.offline.stylise.onsets import onset_envelope, unlike

_CONTENT, _STYLE = (1, 2), (0, 1, 2, 3)
"""Layers whose activations describe what is played, and how; 0 is the input of the first."""
_LAGS = (0, 1, 4)
_SPEEDS = (1, 2)
_WINDOW, _HOP, _BANDS = 1024, 256, 80
"""Of the frames in whose bands an onset shows."""
_LEAST_S = 1.0
"""Of what is heard at any speed; silence follows what is shorter."""


class TaggerStyle(TransferMethod):
    """Descends in the sound, from the content."""

    rate = tagger.RATE
    steps = 100
    balance = 0.65
    term_weights: ClassVar[Mapping[str, float]] = {"onsets": 6.0}
    usual_model = "tagger"
    network: ClassVar[tagger.Tagger]

    @classmethod
    def with_model(cls, model: str) -> type[Self]:
        """Return this method by the tagger called `model`.

        Raises:
            CheckpointError, PresetError: there is no such model, or it is of another kind.
        """
        return type(cls.__name__, (cls,), {"network": load_tagger(model).requires_grad_(False)})

    def __init__(self, content: Tensor, style: Tensor) -> None:
        self._content = content
        net = self.network.to(content.device)
        self._ears = {f"speed {speed}": _Ears(net, speed, content, style) for speed in _SPEEDS}
        self._mel = TextureLogMel(self.rate, _WINDOW, _HOP, _BANDS).to(content.device)
        self._onsets = onset_envelope(self._mel(content))

    def start(self) -> Tensor:
        """Return the content."""
        return self._content.clone()

    def content_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return by speed and layer how unlike the content's the activations move about their means, and the onsets."""
        losses = ((name, ears.content_losses(x)) for name, ears in self._ears.items())
        lost = {f"{name}.{key}": loss for name, own in losses for key, loss in own.items()}
        return {"onsets": unlike(onset_envelope(self._mel(x)), self._onsets), **lost}

    def style_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return by speed and layer how far the activations' mean and lagged covariances are from the style's."""
        losses = ((name, ears.style_losses(x)) for name, ears in self._ears.items())
        return {f"{name}.{key}": loss for name, own in losses for key, loss in own.items()}


class _Ears:
    """The activations of a tagger for one pair at one speed."""

    def __init__(self, net: tagger.Tagger, speed: int, content: Tensor, style: Tensor) -> None:
        self._net, self._speed = net, speed
        before, wanted = self._features(content), self._features(style)
        self._movement = {layer: _about_mean(before[layer]) for layer in _CONTENT}
        shortest = {layer: min(before[layer].shape[2], wanted[layer].shape[2]) for layer in _STYLE}
        self._lags = {layer: [lag for lag in _LAGS if lag < frames] for layer, frames in shortest.items()}
        self._before, self._wanted = self._moments(before), self._moments(wanted)

    def content_losses(self, x: Tensor) -> dict[str, Tensor]:
        found = self._features(x)
        return {
            f"layer {layer}": share(_about_mean(found[layer]), moved, torch.zeros_like(moved))
            for layer, moved in self._movement.items()
        }

    def style_losses(self, x: Tensor) -> dict[str, Tensor]:
        found = self._moments(self._features(x))
        return {name: share(moment, self._wanted[name], self._before[name]) for name, moment in found.items()}

    def _features(self, sound: Tensor) -> list[Tensor]:
        """Return input and activations of the layers, `(1, features, n)` each."""
        faster = F.avg_pool1d(sound[None], self._speed)
        long = F.pad(faster, (0, max(round(_LEAST_S * tagger.RATE) - faster.shape[1], 0)))
        return [layer.flatten(1, -2) for layer in (self._net.front(long), *self._net.activations(long))]

    def _moments(self, features: list[Tensor]) -> dict[str, Tensor]:
        moments = {}
        for layer in _STYLE:
            moments[f"layer {layer}.mean"] = features[layer].mean(2, keepdim=True)
            covariances = gram(_about_mean(features[layer]), self._lags[layer])[0]
            moments |= {
                f"layer {layer}.lag {lag}": one for lag, one in zip(self._lags[layer], covariances, strict=True)
            }
        return moments


def _about_mean(features: Tensor) -> Tensor:
    return features - features.mean(2, keepdim=True)
