"""The transform of latents, frame by frame, as the stage's parameters say.

In this order: freeze, likeness, style, morph, scale and offset, recall.

Style transfer in latent space: the optimal-transport map from the input's latents to a clip's, updated live.

Once a period the moments of the input are updated and the map is computed anew, which takes a fraction of a frame; it
is faded to over the next period. All time is counted in frames.

Speaker moments: the mean and covariance of each speaker's latents, which the parameter `likeness` moves to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gramophone.models.checkpoint import Card
from gramophone.models.parameters import Value
from gramophone.models.style.gaussian import Doubles, Gaussian, Moments
from gramophone.models.style.transport import transport
from gramophone.realtime.dsp.smoothing import Fade
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.codec import Frame
from gramophone.realtime.stages.latent.encoder import audible
from gramophone.realtime.stages.latent.kept import Kept
from gramophone.realtime.stages.latent.parameters import MOMENTS, SCALE
from gramophone.realtime.stages.latent.reference_clips import LatentStyle, ReferenceClips
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
        if self._style is None or not (weights is self._weights or np.array_equal(weights, self._weights)):
            shares = weights[: len(self._means)].astype(np.float64)
            covariance = np.tensordot(shares, self._covariances, 1)
            self._style = LatentStyle(Gaussian(shares @ self._means, covariance), 1.0)
            self._weights = weights
        return self._style


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

    def minus(self, other: _Affine) -> _Affine:
        return _Affine(self.matrix - other.matrix, self.offset - other.offset)

    def plus(self, other: _Affine, share: float) -> _Affine:
        return _Affine(self.matrix + other.matrix * share, self.offset + other.offset * share)


class StyleMap:
    """Maps frames of `latents` values, one every `frame_s` seconds, to a style."""

    def __init__(self, latents: int, frame_s: float) -> None:
        self._frame_s = frame_s
        self._period = max(round(_PERIOD_S / frame_s), 1)
        self._identity = self._from = self._to = _Affine.identity(latents)
        self._way = self._to.minus(self._from)
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
        if self._from is self._to is self._identity or not strength:
            return latents
        affine_map = self._from.plus(self._way, self._into / self._period)
        moved: Floats = latents + np.float32(strength) * (latents @ affine_map.matrix + affine_map.offset - latents)
        return moved

    def _renew(self, style: LatentStyle | None, adaptation_s: float) -> None:
        """At the end of a period, update the moments and compute the next map."""
        if self._frames:
            decay = math.exp(-self._frame_s / adaptation_s)
            self._moments = self._moments.after(np.stack(self._frames), decay)
            self._prior *= decay ** len(self._frames)
        self._from, self._to = self._to, self._map_to(style)
        self._way = self._to.minus(self._from)
        self._frames, self._into = [], 0

    def _map_to(self, style: LatentStyle | None) -> _Affine:
        weight, mean = self._moments.weight, self._moments.mean
        if style is None or not weight:
            return self._identity
        target, own = style.gaussian.covariance, self._moments.gaussian().covariance
        content = Gaussian(mean, _with_floor((weight * own + self._prior * target) / (weight + self._prior)))
        affine = transport(content, Gaussian(style.gaussian.mean, _with_floor(target)), style.tilt)
        return _Affine(affine.matrix.astype(np.float32), affine.offset.astype(np.float32))


def _with_floor(covariance: Doubles) -> Doubles:
    return covariance + FLOOR * np.eye(len(covariance))


_FADE_S = 0.1


class LatentTransform:
    """Transforms frames, one every `frame_s` seconds; `latents` are the names of the offset parameters, D of them.

    `stored` are the latents `(D,)` that `recall` goes back to, or None. Row i of `directions` `(D, D)` is what an
    offset of 1 on latent i adds to all latents; None: to that latent alone. All time is counted in frames.
    """

    def __init__(
        self,
        latents: Sequence[str],
        frame_s: float,
        clips: ReferenceClips,
        stored: Floats | None,
        directions: Floats | None = None,
    ) -> None:
        self._latents = latents
        self._speaker_map, self._style_map = (StyleMap(len(latents), frame_s) for _ in range(2))
        self._clips = self._previous = clips
        self._clip_fade = Fade(1.0, round(_FADE_S / frame_s))
        self._held: Floats | None = None
        self._storing = False
        self._count = 0
        self._directions = np.eye(len(latents), dtype=np.float32) if directions is None else directions
        self._turned = Kept(self._turned_by)
        self.stored = stored

    def set_clips(self, clips: ReferenceClips) -> None:
        """Change to other reference clips; their second clip's latents are faded over."""
        self._clips, self._previous = clips, self._clips
        self._clip_fade = Fade(0.0, self._clip_fade.samples)
        self._clip_fade.set(1.0)

    def store(self) -> None:
        """Keep the next frame's latents, for `recall` to go back to."""
        self._storing = True

    def process(self, frame: Frame, values: Mapping[str, Value], speaker_style: LatentStyle | None = None) -> Frame:
        """Return the next frame with its latents transformed by the parameter `values`.

        `speaker_style` is the distribution of the speaker's latents, which `likeness` moves to. `values` do not change
        afterwards; others are another mapping.
        """
        latents = self._held if values["freeze"] and self._held is not None else frame.latents
        self._held = latents
        if not values["freeze"]:  # frozen frames are not counted as content again
            self._speaker_map.observe(frame)
        adaptation_s = float(values["adaptation"])
        similarity = float(values["likeness"]) if speaker_style else 0.0
        moved = self._speaker_map.apply(latents, speaker_style, similarity, adaptation_s)
        if not values["freeze"]:
            self._style_map.observe(Frame(moved, frame.power))
        z = self._style_map.apply(moved, self._clips.style, float(values["strength"]), adaptation_s)
        second, share = self._second_latents(z), np.float32(values["morph"])
        if second is not z and share:
            z = z + share * (second - z)
        scale, offset = self._turned(values)
        z = z * scale + offset
        if self._storing:
            self.stored, self._storing = z, False
        if self.stored is not None:
            z = z + np.float32(values["recall"]) * (self.stored - z)
        self._count += 1
        return Frame(z, frame.power, frame.prosody)

    def _second_latents(self, z: Floats) -> Floats:
        """Return the second clip's latents, in a loop, or `z` where there is no second clip."""
        share = np.float32(self._clip_fade.next(1))
        if self._clips.second is self._previous.second is None:
            return z
        old, new = (
            z if clips.second is None else clips.second[self._count % len(clips.second)]
            for clips in (self._previous, self._clips)
        )
        mixed: Floats = old + share * (new - old)
        return mixed

    def _turned_by(self, values: Mapping[str, Value]) -> tuple[Floats, Floats]:
        """Return by what the parameters multiply latents, and what they add."""
        scale, offset = (
            np.array([values[name + suffix] for name in self._latents], np.float32) for suffix in (SCALE, "")
        )
        return scale, offset @ self._directions
