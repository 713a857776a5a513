"""How a voice intones what it is told: in the speaker's range, higher or lower, in tune, with vibrato.

All of it moves pitch alone, in octaves, once a frame; the sound glides from one frame's pitch to the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gramophone.models.nets.voice import MIDDLE_HZ
from gramophone.models.parameters import Value
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.scales import nearest_note

VOICED = 0.5
_MIDDLE_NOTE = 69 + 12 * math.log2(MIDDLE_HZ / 440)
"""The MIDI note of octave 0."""
_LOWEST, _HIGHEST = -2.0, 3.7
"""40 Hz to 2 kHz: nobody sings beyond."""
_OUTLIER = 0.5
"""Octaves from the middle that a frame counts as at most: mistakes of an octave must not move it."""
_MOVING_S = 0.3
"""Time in which the range is moved by two thirds while somebody sings; between notes it moves at once."""
_STICKY, _SURE_S = 0.6, 0.3
"""Octaves from the gap at which another number of whole ones is nearer enough; time sung until that is known well."""
_SWELL_S = 0.4
"""Time from where a note begins until its vibrato is as deep as it will be."""


class PitchTransform:
    """Turns pitch, a frame every `frame_s`; `usual` `(speakers,)` are speakers' middle octaves, NaN if not known."""

    def __init__(self, frame_s: float, usual: Floats) -> None:
        self._frame_s = frame_s
        self._know(usual)
        self._range = _Range(frame_s)
        self._tuning = _Tuning(frame_s)
        self._vibrato = _Vibrato(frame_s)

    def welcome(self, octave: float) -> None:
        """Know another middle octave for the last of the speakers."""
        self._know(np.append(np.where(self._known, self._usual, np.float32(np.nan))[:-1], np.float32(octave)))

    def _know(self, usual: Floats) -> None:
        self._known = np.isfinite(usual)
        self._usual = np.nan_to_num(usual)

    def turn(self, octaves: float, voicing: float, speakers: Floats, values: Mapping[str, Value]) -> float:
        """Return the pitch in octaves that is sung, by weights over the speakers."""
        voiced = voicing >= VOICED
        known = float(speakers @ self._known)
        wanted = float(speakers @ self._usual) / known if known > 0 else None
        pitch = octaves + self._range.move(octaves, voiced, wanted, values) + float(values["pitch"]) / 12
        pitch += self._tuning.correct(pitch, voiced, values) + self._vibrato.next(voiced, values)
        return min(max(pitch, _LOWEST), _HIGHEST)


class _Range:
    """Moves what is sung to where the speaker usually sings, by what was heard so far."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._middle, self._frames = 0.0, 0
        self._octaves: int | None = None
        self._moved = 0.0

    def move(self, octaves: float, voiced: bool, wanted: float | None, values: Mapping[str, Value]) -> float:
        """Return by how many octaves to move."""
        if voiced:
            self._hear(octaves, float(values["adaptation"]))
        aim = 0.0
        if wanted is not None and self._frames:
            gap = wanted - self._middle
            aim = {"off": 0.0, "octaves": float(self._whole(gap, voiced)), "free": gap}[str(values["range"])]
        unheard = not voiced or self._frames == 1
        self._moved = aim if unheard else self._moved + (aim - self._moved) * min(self._frame_s / _MOVING_S, 1.0)
        return self._moved

    def _hear(self, octaves: float, adaptation_s: float) -> None:
        """Follow the middle: a mean in which outliers count little (Huber 1964), which is near the median."""
        if not self._frames:
            self._middle = octaves
        self._frames = min(self._frames + 1, max(round(adaptation_s / self._frame_s), 1))
        self._middle += min(max(octaves - self._middle, -_OUTLIER), _OUTLIER) * 2 / (self._frames + 1)

    def _whole(self, gap: float, voiced: bool) -> int:
        """Return the whole octaves nearest to the gap; once it is sure, another number only between notes."""
        free = not voiced or self._frames * self._frame_s < _SURE_S
        if self._octaves is None or (free and abs(gap - self._octaves) > _STICKY):
            self._octaves = round(gap)
        return self._octaves


class _Tuning:
    """Corrects pitch to the notes of a scale: where it lies on the whole, not how it moves about there."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._note: int | None = None
        self._correction = 0.0
        self._was_voiced = False

    def correct(self, octaves: float, voiced: bool, values: Mapping[str, Value]) -> float:
        """Return what to add, in octaves."""
        if voiced:
            place = _MIDDLE_NOTE + 12 * octaves
            self._note = nearest_note(place, self._note, str(values["scale"]), str(values["key"]))
            aim = 0.0 if self._note is None else (self._note - place) / 12
            glide_s = float(values["glide"]) / 1000
            share = 1 - math.exp(-self._frame_s / glide_s) if glide_s > 0 and self._was_voiced else 1.0
            self._correction += (aim - self._correction) * share
        self._was_voiced = voiced
        return self._correction


class _Vibrato:
    """Swings about the pitch, from nothing where a note begins."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._sung_s = self._phase = 0.0

    def next(self, voiced: bool, values: Mapping[str, Value]) -> float:
        """Return what to add, in octaves."""
        self._sung_s = self._sung_s + self._frame_s if voiced else 0.0
        self._phase = (self._phase + float(values["vibrato-rate"]) * self._frame_s) % 1.0 if voiced else 0.0
        swell = min(self._sung_s / _SWELL_S, 1.0)
        return float(values["vibrato"]) / 1200 * swell * math.sin(2 * math.pi * self._phase)
