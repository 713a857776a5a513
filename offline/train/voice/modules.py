"""The networks used only in training a voice: classifiers of speakers and of phones, beside the voice itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gramophone.models.nets.phone_classifier import PHONES
from gramophone.models.nets.voice import Voice, VoiceShape

LEAST_SPREAD = 1e-3
"""Added to a standard deviation before dividing by it."""
_OLD_NAMES = {"probe": "latent_classifier", "listener": "speaker_classifier", "reader": "phone_head"}
_OLD_NAME = re.compile(rf"\.({'|'.join(_OLD_NAMES)})\.(frames\.)?")
V = TypeVar("V")


class VoiceNetworks(nn.Module):
    """A voice and the three networks trained beside it.

    `latent_classifier` predicts the speaker from latents (the adversary), `speaker_classifier` from frames of sound
    (for the conversion loss), and `phone_head` phones from latents.
    """

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.voice = Voice(shape)
        self.latent_classifier = SpeakerClassifier(shape.latents, shape.speakers)
        self.speaker_classifier = SpeakerClassifier(self.voice.encoder.normalisation.channels, shape.speakers)
        self.phone_head = PhoneHead(shape.latents)


def with_present_names(state: Mapping[str, V]) -> dict[str, V]:
    """Return a state dict of `VoiceNetworks` in which earlier versions' names of its parts are the present ones."""

    def present(match: re.Match[str]) -> str:
        return f".{_OLD_NAMES[match[1]]}.{'layers.' if match[2] else ''}"

    return {_OLD_NAME.sub(present, name): value for name, value in state.items()}


class FrameLayers(nn.Module):
    """Two convolutions over a series of frames, after normalising its channels to mean 0 and variance 1.

    Input `[B, channels, n]`, output `[B, width, n]`. Mean and variance are those of the batch and carry no gradient, so
    the result does not depend on the scale of the input.
    """

    def __init__(self, channels: int, width: int = 96) -> None:
        super().__init__()
        layers = [nn.Conv1d(channels, width, 5, padding=2), nn.Conv1d(width, width, 5, padding=4, dilation=2)]
        self.layers = nn.Sequential(*(part for layer in layers for part in (layer, nn.LeakyReLU(0.2))))

    def features(self, series: Tensor) -> Tensor:
        """Return features of each frame, `[B, width, n]`."""
        mean, spread = series.mean((0, 2), keepdim=True).detach(), series.std((0, 2), keepdim=True).detach()
        return cast(Tensor, self.layers((series - mean) / (spread + LEAST_SPREAD)))


class SpeakerClassifier(FrameLayers):
    """A series `[B, channels, n]` -> logits of speakers `[B, speakers]`, by pooling the features' mean and deviation.

    Statistics pooling as in x-vectors (Snyder et al. 2018).
    """

    def __init__(self, channels: int, speakers: int, width: int = 96) -> None:
        super().__init__(channels, width)
        self.out = nn.Linear(2 * width, speakers)

    def forward(self, series: Tensor) -> Tensor:
        """Return the logits, `[B, speakers]`."""
        features = self.features(series)
        return cast(Tensor, self.out(torch.cat([features.mean(2), features.std(2)], 1)))


class PhoneHead(FrameLayers):
    """A series `[B, channels, n]` -> logits of `PHONES` for each frame, `[B, len(PHONES), n]`."""

    def __init__(self, channels: int, width: int = 96) -> None:
        super().__init__(channels, width)
        self.out = nn.Conv1d(width, len(PHONES), 1)

    def forward(self, series: Tensor) -> Tensor:
        """Return the logits, `[B, len(PHONES), n]`."""
        return cast(Tensor, self.out(self.features(series)))


def with_frozen_weights(network: nn.Module, x: Tensor) -> Any:
    """Return a network's output through which gradients reach `x`, but not the network's weights (stop-gradient)."""
    weights = {name: value.detach() for name, value in network.named_parameters()}
    return functional_call(network, weights, (x,))
