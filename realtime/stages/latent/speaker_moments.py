"""Speaker moments: the mean and covariance of each speaker's latents, which the parameter `likeness` moves to."""

from __future__ import annotations

import numpy as np
import torch

from gramophone.models.checkpoint import Card
from gramophone.models.style.gaussian import Gaussian
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.parameters import MOMENTS
from gramophone.realtime.stages.latent.reference_clips import LatentStyle
from gramophone.realtime.stages.latent.target_speaker import TargetSpeaker


class SpeakerMoments:
    """The Gaussian of any blend of the speakers of a model's card: means and covariances averaged by weight."""

    def __init__(self, card: Card) -> None:
        moments = card.notes[MOMENTS]
        self._means = np.array([moments[name]["mean"] for name in card.speakers], np.float64)
        self._covariances = np.array([moments[name]["covariance"] for name in card.speakers], np.float64)
        self._speakers = len(card.speakers)
        self._weights = np.empty(0, np.float32)
        self._style: LatentStyle | None = None

    def add_target(self, target: TargetSpeaker) -> None:
        """Add a target speaker after the model's speakers, in place of an earlier one."""
        self._means = np.concatenate([self._means[: self._speakers], target.mean[None]])
        self._covariances = np.concatenate([self._covariances[: self._speakers], target.covariance[None]])
        self._style = None

    def blend(self, weights: Floats) -> LatentStyle:
        """Return the distribution of a blend, by weights over the speakers and, last, the target speaker."""
        if self._style is None or not np.array_equal(weights, self._weights):
            shares = weights[: len(self._means)].astype(np.float64)
            covariance = np.tensordot(shares, self._covariances, 1)
            self._style = LatentStyle(
                Gaussian(torch.from_numpy(shares @ self._means), torch.from_numpy(covariance)), 1.0
            )
            self._weights = weights
        return self._style
