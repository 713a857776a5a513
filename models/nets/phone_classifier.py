"""A phone classifier for all languages, on log-mel frames normalised by speaker.

Its output is the target of the phone cross-entropy in training a voice (phonetic posteriorgrams, Sun et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

SILENCE = "-"
PHONES = (
    SILENCE,
    "a", "æ", "e", "ɪ", "i", "o", "u", "ɨ", "ə", "y",
    "p", "b", "t", "d", "k", "ɡ", "f", "v", "s", "z",
    "ʃ", "ʒ", "ts", "tʃ", "dʒ", "x", "θ", "ð", "m",
    "n", "l", "r", "ɹ", "ʁ", "j", "w",
)  # fmt: skip
"""The classes, over all languages: silence and 36 broad classes of phones by their IPA symbol."""


@dataclass(frozen=True)
class PhoneClassifierShape:
    """Hyperparameters: pairs of frames of `channels`, through a residual unit of `width` channels for each dilation."""

    channels: int = 96
    width: int = 192
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)


class PhoneClassifier(nn.Module):
    """Normalised frames `[B, channels, n]`, `n` even -> logits of `PHONES`, `[B, len(PHONES), n]`. Not causal."""

    def __init__(self, shape: PhoneClassifierShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.entry = nn.Conv1d(shape.channels, width, 4, 2, padding=1)
        self.units = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(width),
                nn.LeakyReLU(0.2),
                nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation),
                nn.BatchNorm1d(width),
                nn.LeakyReLU(0.2),
                nn.Conv1d(width, width, 1),
            )
            for dilation in shape.dilations
        )
        self.out = nn.Sequential(nn.BatchNorm1d(width), nn.LeakyReLU(0.2), nn.Conv1d(width, len(PHONES), 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logits of every frame; the two frames of a pair have the same.

        Raises:
            ValueError: the number of frames is odd.
        """
        if frames.shape[2] % 2:
            raise ValueError(f"{frames.shape[2]} frames: expected an even number")
        return self.pairs(frames).repeat_interleave(2, 2)

    def pairs(self, frames: Tensor) -> Tensor:
        """Return the logits of every pair of frames, `(B, len(PHONES), n / 2)`."""
        path = self.entry(frames)
        for unit in self.units:
            path = path + unit(path)
        return cast(Tensor, self.out(path))
