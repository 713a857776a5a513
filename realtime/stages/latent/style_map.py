"""Style transfer in latent space: the optimal-transport map from the input's latents to a clip's, updated live.

Once a period the moments of the input are updated and the map is computed anew, which takes a fraction of a frame; it
is faded to over the next period. All time is counted in frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gramophone.models.style.gaussian import Gaussian, Moments
from gramophone.models.style.transport import transport
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.codec import Frame
from gramophone.realtime.stages.latent.encoder import audible
from gramophone.realtime.stages.latent.reference_clips import LatentStyle

_PERIOD_S = 0.16
_PRIOR_S = 1.0
"""Seconds of input that the prior, that its covariance equals the style's, is worth."""
_PEAK_S = 5.0
FLOOR = 0.01
"""Variance added on both sides: a latent that varies less is inactive (Burda et al. 2016) and must not be amplified."""


@dataclass(frozen=True)
class _Affine:
    """An affine map, `z @ matrix + offset`, of latents `(D,)`."""

    matrix: Floats
    offset: Floats

    @staticmethod
    def identity(latents: int) -> _Affine:
        return _Affine(np.eye(latents, dtype=np.float32), np.zeros(latents, np.float32))

    def interpolated(self, other: _Affine, share: float) -> _Affine:
        matrix, offset = self.matrix, self.offset
        return _Affine(matrix + (other.matrix - matrix) * share, offset + (other.offset - offset) * share)


class StyleMap:
    """Maps frames of `latents` values, one every `frame_s` seconds, to a style."""

    def __init__(self, latents: int, frame_s: float) -> None:
        self._frame_s = frame_s
        self._period = max(round(_PERIOD_S / frame_s), 1)
        self._from = self._to = _Affine.identity(latents)
        self._moments, self._prior = Moments.nothing(latents), _PRIOR_S / frame_s
        self._frames: list[Floats] = []
        self._into = 0
        self._peak, self._fall = 0.0, math.exp(-frame_s / _PEAK_S)

    def observe(self, frame: Frame) -> None:
        """Count a frame of the input in the moments, unless it is a pause."""
        self._peak = max(frame.power, self._peak * self._fall)
        if audible(frame.power, self._peak):
            self._frames.append(frame.latents)

    def apply(self, latents: Floats, style: LatentStyle | None, strength: float, adaptation_s: float) -> Floats:
        """Return the next frame's latents `(D,)`, moved towards the style by `strength`, 0 to 1; at 0 unchanged.

        `adaptation_s` is the time constant in seconds of the input's moments.
        """
        if self._into == self._period:
            self._renew(style, adaptation_s)
        self._into += 1
        affine_map = self._from.interpolated(self._to, self._into / self._period)
        moved: Floats = latents + np.float32(strength) * (latents @ affine_map.matrix + affine_map.offset - latents)
        return moved

    @torch.inference_mode()
    def _renew(self, style: LatentStyle | None, adaptation_s: float) -> None:
        """At the end of a period, update the moments and compute the next map."""
        if self._frames:
            decay = math.exp(-self._frame_s / adaptation_s)
            self._moments = self._moments.after(torch.from_numpy(np.stack(self._frames)), decay)
            self._prior *= decay ** len(self._frames)
        self._from, self._to = self._to, self._map_to(style)
        self._frames, self._into = [], 0

    def _map_to(self, style: LatentStyle | None) -> _Affine:
        weight, mean = self._moments.weight, self._moments.mean
        if style is None or not weight:
            return _Affine.identity(len(mean))
        target, own = style.gaussian.covariance, self._moments.gaussian().covariance
        content = Gaussian(mean, _with_floor((weight * own + self._prior * target) / (weight + self._prior)))
        affine = transport(content, Gaussian(style.gaussian.mean, _with_floor(target)), style.tilt)
        return _Affine(affine.matrix.float().numpy(), affine.offset.float().numpy())


def _with_floor(covariance: Tensor) -> Tensor:
    return covariance + FLOOR * torch.eye(len(covariance)).to(covariance)
