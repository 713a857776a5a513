"""Taggers: which tags (instruments, genres, moods) a chunk of music has, by two networks of one form.

`end-to-end` is the network on the raw waveform of Dieleman and Schrauwen, "End-to-end learning for music audio" (ICASSP
2014). `short-chunk` is a small residual network on 3.7 s of log-mel, after Won, Ferraro, Bogdanov and Serra,
"Evaluation of CNN-based automatic music tagging models" (SMC 2020). Neither hears how loud a chunk is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramophone.models.layers.mel import MelBands

RATE = 16_000
"""Sample rate of the input in Hz."""
LOWEST_HZ = 30.0
"""Lower edge of the bands of `short-chunk`."""
_WINDOW, _HOP = 1024, 512
_RANGE = 18.4
"""Dynamic range of the image in nats of power below a chunk's loudest band: 80 dB."""
_SILENCE = 1e-10
_RAW_FRAMES, _RAW_STRIDE, _RAW_FILTERS = 187, 256, 128


@dataclass(frozen=True)
class TaggerShape:
    """Hyperparameters of a tagger: the names of its `tags`, its `network`, and for `short-chunk` its bands and widths.

    Every width is a residual block at half the resolution of the one before.
    """

    tags: tuple[str, ...] = ()
    network: str = "short-chunk"
    bands: int = 64
    widths: tuple[int, ...] = (24, 48, 80, 112, 160, 224)


class Tagger(nn.Module):
    """Sound `(B, T)` at 16 kHz to the logit of every tag, `(B, tags)`, in chunks of `T = chunk` samples.

    Raises:
        ValueError: there is no such network, or it would have no tags.
    """

    def __init__(self, shape: TaggerShape) -> None:
        super().__init__()
        if shape.network not in _NETWORKS:
            raise ValueError(f"network {shape.network!r}: expected one of {', '.join(_NETWORKS)}")
        if not shape.tags:
            raise ValueError("a tagger without tags; expected one at least")
        self.shape = shape
        self.chunk, self.front, layers, self.head = _NETWORKS[shape.network](shape)
        self.layers = nn.ModuleList(layers)

    def forward(self, sound: Tensor) -> Tensor:
        """Return the logits."""
        return self.logits(self.front(sound))

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits, `(B, tags)`, of the output of `front`."""
        *_, last = self._through(features)
        logits: Tensor = self.head(last)
        return logits

    def probabilities(self, sound: Tensor) -> Tensor:
        """Return the probability of every tag, `(B, tags)`."""
        return torch.sigmoid(self(sound))

    def activations(self, sound: Tensor) -> Iterator[Tensor]:
        """Return every layer's activations, `(B, C, …, n)`, time last; sound may be longer than a chunk."""
        return self._through(self.front(sound))

    def _through(self, features: Tensor) -> Iterator[Tensor]:
        for layer in self.layers:
            features = layer(features)
            yield features


class Levelled(nn.Module):
    """Sound `(B, T)` to `(B, 1, T)` with mean 0 and peak 1."""

    def forward(self, sound: Tensor) -> Tensor:
        """Level it; silence stays silence."""
        centred = sound - sound.mean(1, keepdim=True)
        return (centred / centred.abs().amax(1, keepdim=True).clamp_min(_SILENCE))[:, None]


class LogMelImage(nn.Module):
    """Sound `(B, T)` to an image `(B, 1, bands, n)`: log power from 1 at the loudest band to 0 in silence.

    The noise floor is 80 dB below the loudest band.
    """

    window: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)
        self.mel = MelBands(RATE, _WINDOW, bands, low=LOWEST_HZ, floor=_SILENCE)

    def forward(self, sound: Tensor) -> Tensor:
        """Return the image, a frame every 32 ms."""
        return self.image(self.levels(sound))

    def levels(self, sound: Tensor) -> Tensor:
        """Return the log power in nats of every band, `(B, bands, n)`."""
        spectra = torch.fft.rfft(sound.unfold(1, _WINDOW, _HOP) * self.window)
        found: Tensor = self.mel(spectra).transpose(1, 2)
        return found

    def image(self, levels: Tensor) -> Tensor:
        """Return levels as an image."""
        below = (levels - levels.amax((1, 2), keepdim=True))[:, None]
        # a soft floor, the log of the sum with -80 dB, so that a descent finds its way out of silence
        return F.softplus(below + _RANGE) / _RANGE


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around which the input goes by, at half the resolution: He et al. 2016."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.by = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)
        self.by_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, outputs, bands / 2, n / 2)`."""
        y = self.second_norm(self.second(F.relu(self.first_norm(self.first(x)))))
        return F.relu(y + self.by_norm(self.by(x)))


class MeanAndMax(nn.Module):
    """The mean and the largest of every channel: `(B, C, ...)` to `(B, 2 C)`."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        flat = x.flatten(2)
        return torch.cat([flat.mean(2), flat.amax(2)], 1)


_Parts = tuple[int, nn.Module, list[nn.Module], nn.Module]
"""Samples per chunk, the front end, the layers, and the head that predicts tags."""


def _short_chunk(shape: TaggerShape) -> _Parts:
    layers: list[nn.Module] = [ResidualBlock(*widths) for widths in pairwise((1, *shape.widths))]
    last = shape.widths[-1]
    head = nn.Sequential(
        MeanAndMax(), nn.Linear(2 * last, last), nn.ReLU(), nn.Dropout(0.3), nn.Linear(last, len(shape.tags))
    )
    return 116 * _HOP, LogMelImage(shape.bands), layers, head


def _end_to_end(shape: TaggerShape) -> _Parts:
    layers: list[nn.Module] = [
        nn.Sequential(nn.Conv1d(1, _RAW_FILTERS, _RAW_STRIDE, _RAW_STRIDE), nn.ReLU()),
        nn.Sequential(nn.Conv1d(_RAW_FILTERS, 32, 8), nn.ReLU(), nn.MaxPool1d(4)),
        nn.Sequential(nn.Conv1d(32, 32, 8), nn.ReLU(), nn.MaxPool1d(4)),
    ]
    steps = ((_RAW_FRAMES - 7) // 4 - 7) // 4
    head = nn.Sequential(nn.Flatten(), nn.Linear(32 * steps, 100), nn.ReLU(), nn.Linear(100, len(shape.tags)))
    return _RAW_FRAMES * _RAW_STRIDE, Levelled(), layers, head


_NETWORKS = {"short-chunk": _short_chunk, "end-to-end": _end_to_end}
NETWORKS = tuple(_NETWORKS)
