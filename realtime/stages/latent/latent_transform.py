"""The transform of latents, frame by frame, as the stage's parameters say.

In this order: freeze, likeness, style, morph, scale and offset, recall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.dsp.smoothing import Fade
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.codec import Frame
from gramophone.realtime.stages.latent.parameters import SCALE
from gramophone.realtime.stages.latent.reference_clips import LatentStyle, ReferenceClips
from gramophone.realtime.stages.latent.style_map import StyleMap

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

        `speaker_style` is the distribution of the speaker's latents, which `likeness` moves to.
        """
        if values["freeze"] and self._held is not None:
            frame = replace(frame, latents=self._held)
        self._held = frame.latents
        similarity = float(values["likeness"]) if speaker_style else 0.0
        frame = _apply_style(self._speaker_map, frame, speaker_style, similarity, values)
        z = _apply_style(self._style_map, frame, self._clips.style, float(values["strength"]), values).latents
        z = z + np.float32(values["morph"]) * (self._second_latents(z) - z)
        z = z * self._values_of(values, SCALE) + self._values_of(values) @ self._directions
        if self._storing:
            self.stored, self._storing = z, False
        if self.stored is not None:
            z = z + np.float32(values["recall"]) * (self.stored - z)
        self._count += 1
        return replace(frame, latents=z)

    def _second_latents(self, z: Floats) -> Floats:
        """Return the second clip's latents, in a loop, or `z` where there is no second clip."""
        old, new = (
            z if clips.second is None else clips.second[self._count % len(clips.second)]
            for clips in (self._previous, self._clips)
        )
        mixed: Floats = old + np.float32(self._clip_fade.next(1)) * (new - old)
        return mixed

    def _values_of(self, values: Mapping[str, Value], suffix: str = "") -> Floats:
        return np.array([values[name + suffix] for name in self._latents], np.float32)


def _apply_style(
    style_map: StyleMap, frame: Frame, style: LatentStyle | None, strength: float, values: Mapping[str, Value]
) -> Frame:
    """Return a frame moved towards a style by `strength`; frozen frames are not counted as content again."""
    if not values["freeze"]:
        style_map.observe(frame)
    return replace(frame, latents=style_map.apply(frame.latents, style, strength, float(values["adaptation"])))
