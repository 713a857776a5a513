"""What the knobs make of latents, frame after frame.

Freeze, likeness, style, morph, scale and offset, recall, in this order.
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
    """Turns frames, one every `frame_s`; `latents` are the names of their knobs. Counted in frames alone.

    `stored` are the latents `(D,)` to go back to, None for none; `company`, `(D, D)`, is what turning each latent by
    one adds to all, None if that is to the latent alone.
    """

    def __init__(
        self,
        latents: Sequence[str],
        frame_s: float,
        clips: ReferenceClips,
        stored: Floats | None,
        company: Floats | None = None,
    ) -> None:
        self._latents = latents
        self._likeness, self._style = (StyleMap(len(latents), frame_s) for _ in range(2))
        self._clips = self._leaving = clips
        self._share = Fade(1.0, round(_FADE_S / frame_s))
        self._held: Floats | None = None
        self._storing = False
        self._count = 0
        self._company = np.eye(len(latents), dtype=np.float32) if company is None else company
        self.stored = stored

    def teach(self, clips: ReferenceClips) -> None:
        """Take over other clips, faded to."""
        self._clips, self._leaving = clips, self._clips
        self._share = Fade(0.0, self._share.samples)
        self._share.set(1.0)

    def store(self) -> None:
        """Keep the next frame's latents, to go back to."""
        self._storing = True

    def process(self, frame: Frame, values: Mapping[str, Value], usual: LatentStyle | None = None) -> Frame:
        """Return the next frame with its latents as the knobs say; `usual` is where the speaker's lie."""
        if values["freeze"] and self._held is not None:
            frame = replace(frame, latents=self._held)
        self._held = frame.latents
        frame = _moved(self._likeness, frame, usual, float(values["likeness"]) if usual else 0.0, values)
        z = _moved(self._style, frame, self._clips.style, float(values["strength"]), values).latents
        z = z + np.float32(values["morph"]) * (self._second(z) - z)
        z = z * self._each(values, SCALE) + self._each(values) @ self._company
        if self._storing:
            self.stored, self._storing = z, False
        if self.stored is not None:
            z = z + np.float32(values["recall"]) * (self.stored - z)
        self._count += 1
        return replace(frame, latents=z)

    def _second(self, z: Floats) -> Floats:
        """Return the second clip's latents, which go round and round; `z` itself where there is none."""
        old, new = (
            z if clips.second is None else clips.second[self._count % len(clips.second)]
            for clips in (self._leaving, self._clips)
        )
        mixed: Floats = old + np.float32(self._share.next(1)) * (new - old)
        return mixed

    def _each(self, values: Mapping[str, Value], of: str = "") -> Floats:
        return np.array([values[name + of] for name in self._latents], np.float32)


def _moved(
    way: StyleMap, frame: Frame, style: LatentStyle | None, strength: float, values: Mapping[str, Value]
) -> Frame:
    """Return a frame so far on its way to a style; what is held is not heard again."""
    if not values["freeze"]:
        way.hear(frame)
    return replace(frame, latents=way.move(frame.latents, style, strength, float(values["adaptation"])))
