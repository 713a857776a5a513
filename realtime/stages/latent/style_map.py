"""Style in latent space: the optimal-transport map from what comes in to a clip, learnt while it plays.

Every period the moments of what was heard are updated and the map is computed anew, which takes a fraction of a frame;
it is faded to over the next period. All of it is counted in frames.
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
"""Seconds of content that the first belief, that it varies as the style does, is worth."""
_PEAK_S = 5.0
FLOOR = 0.01
"""Variance added on both sides: a latent that varies less is idle (Burda et al. 2016), and not to be blown up."""


@dataclass(frozen=True)
class _Aim:
    """`z @ matrix + offset` for latents `(D,)`."""

    matrix: Floats
    offset: Floats

    @staticmethod
    def at_rest(latents: int) -> _Aim:
        return _Aim(np.eye(latents, dtype=np.float32), np.zeros(latents, np.float32))

    def towards(self, other: _Aim, share: float) -> _Aim:
        matrix, offset = self.matrix, self.offset
        return _Aim(matrix + (other.matrix - matrix) * share, offset + (other.offset - offset) * share)


class StyleMap:
    """Moves frames of `latents` numbers, one every `frame_s`, to a style."""

    def __init__(self, latents: int, frame_s: float) -> None:
        self._frame_s = frame_s
        self._period = max(round(_PERIOD_S / frame_s), 1)
        self._before = self._after = _Aim.at_rest(latents)
        self._moments, self._prior = Moments.nothing(latents), _PRIOR_S / frame_s
        self._heard: list[Floats] = []
        self._into = 0
        self._peak, self._fall = 0.0, math.exp(-frame_s / _PEAK_S)

    def hear(self, frame: Frame) -> None:
        """Take in a frame of the content, unless it is a pause."""
        self._peak = max(frame.power, self._peak * self._fall)
        if audible(frame.power, self._peak):
            self._heard.append(frame.latents)

    def move(self, latents: Floats, style: LatentStyle | None, strength: float, adaptation_s: float) -> Floats:
        """Return the next frame's latents `strength` of the way to the style; at 0 they stay, to the bit."""
        if self._into == self._period:
            self._turn(style, adaptation_s)
        self._into += 1
        aim = self._before.towards(self._after, self._into / self._period)
        moved: Floats = latents + np.float32(strength) * (latents @ aim.matrix + aim.offset - latents)
        return moved

    @torch.inference_mode()
    def _turn(self, style: LatentStyle | None, adaptation_s: float) -> None:
        """At the end of a period: aim anew, with what was heard in it."""
        if self._heard:
            decay = math.exp(-self._frame_s / adaptation_s)
            self._moments = self._moments.after(torch.from_numpy(np.stack(self._heard)), decay)
            self._prior *= decay ** len(self._heard)
        self._before, self._after = self._after, self._aim(style)
        self._heard, self._into = [], 0

    def _aim(self, style: LatentStyle | None) -> _Aim:
        weight, mean = self._moments.weight, self._moments.mean
        if style is None or not weight:
            return _Aim.at_rest(len(mean))
        target, own = style.gaussian.covariance, self._moments.gaussian().covariance
        content = Gaussian(mean, _raised((weight * own + self._prior * target) / (weight + self._prior)))
        affine = transport(content, Gaussian(style.gaussian.mean, _raised(target)), style.tilt)
        return _Aim(affine.matrix.float().numpy(), affine.offset.float().numpy())


def _raised(covariance: Tensor) -> Tensor:
    return covariance + FLOOR * torch.eye(len(covariance)).to(covariance)
