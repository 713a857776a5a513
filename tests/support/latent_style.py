"""Latent frames with a known style."""

import numpy as np

from gramophone.models.style.gaussian import Gaussian
from gramophone.realtime.stages.latent.reference_clips import LatentStyle

LATENTS = 5


FRAME_S = 0.008


def frames(seed, count):
    """Latents of some mean and covariance, `(count, D)`."""
    rng = np.random.default_rng(seed)
    mixing, mean = rng.normal(0, 0.6, (LATENTS, LATENTS)), rng.normal(size=LATENTS)
    return (rng.normal(size=(count, LATENTS)) @ mixing + mean).astype(np.float32)


def style_of(latents, tilt=1.0):
    mean, covariance = latents.mean(0), np.cov(latents.T, bias=True)
    return LatentStyle(Gaussian(mean.astype(np.float64), covariance.astype(np.float64)), tilt)
