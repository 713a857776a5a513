"""Running statistics of the content, and the transport map to aim at; outside the audio path."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramophone.models.style.gaussian import Doubles, Gaussian, Moments
from gramophone.models.style.speech_detector import SpeechDetector
from gramophone.models.style.style import Style, StyleGrid
from gramophone.models.style.transport import transport

_PRIOR_S = 1.0
"""Seconds of content that the first belief, that it varies as the style does, is worth."""
_FLOOR_DB2 = 1.0
"""Variance added to both sides: features that hardly vary are not blown up."""


@dataclass(frozen=True)
class Aim:
    """Where to go: `matrix` `(B, B)`, `vectors` `(4, B)` and how sure it is that the content is speech, 0 to 1.

    The vectors are the offset of the map, the offset of the map that only shifts the mean, how noise-like the style is
    (0 to 1) and its flatness. Frames are rows: `frame @ matrix + vectors[0]`.
    """

    matrix: NDArray[np.float32]
    vectors: NDArray[np.float32]
    speech: float

    @staticmethod
    def at_rest(bands: int) -> Aim:
        """Return the aim that changes nothing."""
        return Aim(np.eye(bands, dtype=np.float32), np.zeros((4, bands), np.float32), 1.0)


@dataclass(frozen=True)
class ContentStatistics:
    """Moments of the content so far, the weight in frames of the prior belief, and whether it sounds like speech."""

    moments: Moments
    prior: float
    speech: SpeechDetector

    @staticmethod
    def new(grid: StyleGrid) -> ContentStatistics:
        """Return the statistics before any input."""
        rate = grid.frames(1.0)
        return ContentStatistics(Moments.nothing(grid.bands), _PRIOR_S * rate, SpeechDetector.new(rate))

    def after(self, frames: Doubles, guard: Doubles, loud: NDArray[np.bool_], decay: float) -> ContentStatistics:
        """Return the statistics after frames: `(n, B)` in dB, `(n, 16)` powers, and which are no pause.

        `decay` is what one frame more makes of the weight of those before it, as in `Moments.after`.
        """
        heard = frames[loud]
        prior = self.prior * decay ** len(heard)
        return ContentStatistics(self.moments.after(heard, decay), prior, self.speech.after(guard))

    def aim(self, grid: StyleGrid, style: Style | None, tilt: float, guard: float) -> Aim:
        """Return where to aim: at `style`; the identity without one or before any input.

        `tilt` as in `transport`; `guard` 0 to 1 is how much it matters that content is speech.
        """
        weight = self.moments.weight
        if style is None or not weight:
            return Aim.at_rest(grid.bands)
        target = style.gaussian
        own = self.moments.gaussian().covariance
        content = Gaussian(
            self.moments.mean, _raised((weight * own + self.prior * target.covariance) / (weight + self.prior))
        )
        affine = transport(content, Gaussian(target.mean, _raised(target.covariance)), tilt)
        vectors = (affine.offset, target.mean - self.moments.mean, grid.noise_like(style), style.flatness)
        found = affine.matrix.astype(np.float32), np.stack(vectors).astype(np.float32)
        return Aim(*found, guard * self.speech.certainty)


def decay_per_frame(grid: StyleGrid, seconds: float) -> float:
    """Return the decay that forgets with a time constant of `seconds`."""
    return math.exp(-1 / grid.frames(seconds))


def _raised(covariance: Doubles) -> Doubles:
    return covariance + _FLOOR_DB2 * np.eye(len(covariance))
