"""Styles: statistics of a recording's log spectra, in bands (`style_bands.py`).

A frame is the log power in mel bands relative to the sound's own level. A style is the Gaussian of a recording's
frames, and how noise-like the recording is in each band. What plays updates and compares styles without torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramophone.models.style.gaussian import Doubles, Gaussian, mixed
from gramophone.models.style.transport import blend

FLOOR = 10 ** (-40 / 10)
"""Power relative to the level; quieter bands are taken for this quiet."""
GATE = 10 ** (-55 / 10)
"""Power relative to the peak; quieter frames are pauses and teach nothing."""
TINY = 1e-12
"""Power of what counts as silence."""
_TONAL = (0.45, 0.75)
"""Flatness, relative to that of noise, up to which a band is a tone, and from which it is noise."""


@dataclass(frozen=True)
class Style:
    """The style of a recording: the Gaussian of its frames in dB, and its spectral flatness by band `(B,)`, 0 to 1."""

    gaussian: Gaussian
    flatness: Doubles


def blended(a: Style, b: Style, position: float) -> Style:
    """Return the style at `position` (0 is `a`, 1 is `b`) between two: on the geodesic of their Gaussians."""
    return Style(blend(a.gaussian, b.gaussian, position), mixed(a.flatness, b.flatness, position))


@dataclass(frozen=True)
class StyleGrid:
    """Where frames lie: `bands` of them, one every `hop` samples at `rate` Hz; the flatness of noise in each band."""

    rate: int
    bands: int
    hop: int
    noise_flatness: NDArray[np.float32]

    def frames(self, seconds: float) -> float:
        """Return how many frames, a fraction perhaps, make `seconds`."""
        return seconds * self.rate / self.hop

    def noise_like(self, style: Style) -> Doubles:
        """Return how noise-like a style is by band, `(B,)` from 0 (tonal) to 1, smoothed over neighbours."""
        tone, noise = _TONAL
        likeness = np.clip((style.flatness / self.noise_flatness - tone) / (noise - tone), 0, 1)
        index = np.arange(float(self.bands))
        blur = np.exp(-0.5 * np.square((index[:, None] - index) / 2))
        smoothed: Doubles = (blur / blur.sum(1, keepdims=True)) @ likeness
        return smoothed
