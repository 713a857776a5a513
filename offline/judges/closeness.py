"""How close a restyled sound came to its style recording, as a music tagger perceives it.

A sound is the Gaussian (mean and spread of every feature) of a tagger's last activations over its patches of 3 s, and
two sounds are as far apart as their Gaussians: the Frechet distance (Dowson & Landau 1982; for audio Kilgour et al.
2019), with diagonal covariance because 10 s hold no more than eight patches. The distance is then put between what
cannot be less and what is there without doing anything:

    closeness = (d(content, style) - d(output, style)) / (d(content, style) - d(style's one half, its other half))

so that 0 is the untouched content and 1 as close as the style recording is to itself. The distance to the style is the
mean of that to its two halves: then all distances are between sounds of about one length.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import Sound, heard
from gramophone.offline.judges.taggers import load_tagger, patches

JUDGES = ("MTT_musicnn", "MSD_vgg")
"""Taggers that differ in both design and training data."""

SECOND_OPINION = ("MTT_vgg", "MSD_musicnn")
"""The other two combinations: never tuned against, to detect overfitting to the judges."""

_WORST, _BEST = -1.0, 1.25
_LEAST_CONTRAST = 0.1

Perception = NDArray[np.float32]
"""Mean and standard deviation of every feature: `(2, features)`."""


class Closeness:
    """Measures outputs of one content and style, mono at `rate` Hz, by one tagger."""

    def __init__(self, content: Sound, style: Sound, rate: int, tagger: str) -> None:
        self._tagger = tagger
        sound = heard(style, rate)
        middle = len(sound) // 2
        self._halves = [perceive(half, tagger) for half in (sound[:middle], sound[middle:])]
        self._far = self._to_style(perceive(heard(content, rate), tagger))
        self._near = distance(*self._halves)

    @property
    def contrast(self) -> float:
        """How much the style differs from the content, against its own spread: 1 much, 0 not at all."""
        return 1 - self._near / self._far if self._far else 0.0

    def __call__(self, output: Sound, rate: int) -> float:
        """Return the closeness, between -1 and 1.25."""
        gone = self._far - self._to_style(perceive(heard(output, rate), self._tagger))
        return float(np.clip(gone / max(self._far - self._near, _LEAST_CONTRAST * self._far), _WORST, _BEST))

    def _to_style(self, perception: Perception) -> float:
        return float(np.mean([distance(perception, half) for half in self._halves]))


def perceive(sound: Sound, tagger: str) -> Perception:
    """Return how `tagger` perceives a sound at 16 kHz."""
    with torch.inference_mode():
        features = load_tagger(tagger).activations(patches(sound)).flatten(0, 1)
        return torch.stack([features.mean(0), features.std(0, correction=0)]).numpy()


def distance(a: Perception, b: Perception) -> float:
    """Return the Frechet distance between two diagonal Gaussians."""
    return float(np.linalg.norm(a - b))
