"""Where speakers' latents usually lie, by the model's card: whither a singer's are moved to be like a speaker's."""

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
    """The Gaussian of any blend of speakers: means and covariances by weight."""

    def __init__(self, card: Card) -> None:
        known = card.notes[MOMENTS]
        self._means = np.array([known[name]["mean"] for name in card.speakers], np.float64)
        self._covariances = np.array([known[name]["covariance"] for name in card.speakers], np.float64)
        self._speakers = len(card.speakers)
        self._weights = np.empty(0, np.float32)
        self._style: LatentStyle | None = None

    def welcome(self, target: TargetSpeaker) -> None:
        """Know a guest behind the speakers, in place of one before."""
        self._means = np.concatenate([self._means[: self._speakers], target.mean[None]])
        self._covariances = np.concatenate([self._covariances[: self._speakers], target.covariance[None]])
        self._style = None

    def of(self, weights: Floats) -> LatentStyle:
        """Return where the latents of a blend lie, by weights over the speakers and, last, the guest."""
        if self._style is None or not np.array_equal(weights, self._weights):
            shares = weights[: len(self._means)].astype(np.float64)
            covariance = np.tensordot(shares, self._covariances, 1)
            self._style = LatentStyle(
                Gaussian(torch.from_numpy(shares @ self._means), torch.from_numpy(covariance)), 1.0
            )
            self._weights = weights
        return self._style
