"""Two kinds of music tagger, trained by others for another purpose: closeness is measured in their activations.

Pons & Serra 2019, "musicnn: pre-trained convolutional neural networks for music audio tagging" (ISMIR late breaking),
with the front end of Pons et al. 2018, "End-to-end learning for music audio tagging at scale". Each kind was trained
on MagnaTagATune (MTT) and on the Million Song Dataset (MSD); tensors keep TensorFlow's names. Held against the
originals under TensorFlow 2.15: activations within 1e-5, tag probabilities within 1e-6.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.judges.weights import load_weights

PATCH = 187
"""Frames of 16 ms that a tagger sees at once: 3 s."""

_BANDS, _HOP, _WINDOW = 96, 256, 512
_PATCH_HOP = 62
_BATCH_NORM_EPSILON = 1e-3  # TensorFlow's


class MusicTagger(ABC):
    """A trained network from log-mel patches `(batch, 187, 96)` to tags, with its tensors by name."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = weights

    @abstractmethod
    def activations(self, patches: Tensor) -> Tensor:
        """Return what the tags are read from: `(batch, 187, 96)` to `(batch, steps, features)`."""

    def tags(self, patches: Tensor) -> Tensor:
        """Return the probability of every tag, `(batch, 50)`."""
        return torch.sigmoid(self._dense(self.activations(patches).flatten(1), self._output))

    _output = "dense"

    def _dense(self, x: Tensor, name: str) -> Tensor:
        return x @ self._weights[f"{name}/kernel"] + self._weights[f"{name}/bias"]

    def _convolve(self, x: Tensor, name: str, padding: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Tensor:
        """Convolve `(batch, channels, time, band)` and rectify; padding: bands below, above, frames before, after."""
        kernel = self._weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        return F.relu(F.conv2d(F.pad(x, padding), kernel, self._weights[f"{name}/bias"]))

    def _normalise(self, x: Tensor, name: str) -> Tensor:
        """Batch normalisation of axis 1 by the statistics of the training set."""
        mean, variance, gain, bias = (
            self._weights[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return F.batch_norm(x, mean, variance, gain, bias, eps=_BATCH_NORM_EPSILON)


class Vgg(MusicTagger):
    """Small square filters that know nothing of music; two steps of 128 features a patch."""

    _pools = (((4, 1), 2), ((2, 2), 2), ((2, 2), 2), ((2, 2), 2), ((4, 4), 4))

    def activations(self, patches: Tensor) -> Tensor:
        """See Tagger."""
        x = self._normalise(patches[:, None], "batch_normalization")
        for layer, (size, stride) in enumerate(self._pools, start=1):
            x = self._normalise(self._convolve(x, f"{layer}CNN", (1, 1, 1, 1)), f"batch_normalization_{layer}")
            x = F.max_pool2d(x, size, stride)
        return x[..., 0].transpose(1, 2)


class Musicnn(MusicTagger):
    """Tall filters for timbre, long ones for rhythm, three residual layers; one step of 200 features a patch."""

    _output = "dense_1"
    _timbre = ("conv2d", "conv2d_1")
    _rhythm = ("conv2d_2", "conv2d_3", "conv2d_4")

    def activations(self, patches: Tensor) -> Tensor:
        """See Tagger."""
        front = self._front(patches[:, None])
        layers = torch.cat([front, *self._middle(front)], dim=1)
        pooled = torch.stack([layers.amax(2), layers.mean(2)], dim=2).flatten(1)
        hidden = F.relu(self._dense(self._normalise(pooled, "batch_normalization_9"), "dense"))
        return self._normalise(hidden, "batch_normalization_10")[:, None]

    def _front(self, x: Tensor) -> Tensor:
        """`(batch, 1, time, band)` to `(batch, 561, time)`: the loudest band of every filter."""
        x = self._normalise(x, "batch_normalization")
        maps = [self._convolve(x, name, (0, 0, 3, 3)) for name in self._timbre]
        for name in self._rhythm:
            length = len(self._weights[f"{name}/kernel"])
            maps.append(self._convolve(x, name, (0, 0, (length - 1) // 2, length // 2)))
        normal = (self._normalise(x, f"batch_normalization_{i}") for i, x in enumerate(maps, start=1))
        return torch.cat([x.amax(3) for x in normal], dim=1)

    def _middle(self, x: Tensor) -> list[Tensor]:
        """`(batch, 561, time)` to three times `(batch, 64, time)`, each the sum of those so far."""
        outputs: list[Tensor] = []
        for layer in (5, 6, 7):
            y = self._convolve(x.transpose(1, 2)[:, None], f"conv2d_{layer}", (0, 0, 3, 3))[..., 0]
            y = self._normalise(y, f"batch_normalization_{layer + 1}")
            x = outputs[-1] + y if outputs else y
            outputs.append(x)
        return outputs


@functools.cache
def load_tagger(name: str) -> MusicTagger:
    """Return one of MTT_musicnn, MTT_vgg, MSD_musicnn and MSD_vgg.

    Raises:
        PackageError: its weights cannot be had.
    """
    weights = {key: torch.from_numpy(value.copy()) for key, value in load_weights(name).items()}
    return Musicnn(weights) if name.endswith("musicnn") else Vgg(weights)


def patches(sound: Sound) -> Tensor:
    """Return the log-mel patches `(batch, 187, 96)` of a sound at 16 kHz, one a second; a short sound is repeated."""
    import librosa

    mel = librosa.feature.melspectrogram(y=sound, sr=RATE, hop_length=_HOP, n_fft=_WINDOW, n_mels=_BANDS).T
    frames = np.log10(10_000 * mel + 1).astype(np.float32)
    frames = np.tile(frames, (max(-(-PATCH // len(frames)), 1), 1))
    return torch.from_numpy(frames).unfold(0, PATCH, _PATCH_HOP).transpose(1, 2).contiguous()
