"""The pitch transform of a voice: the speaker's range, transposition, correction to a scale, vibrato.

All of it changes pitch alone, in octaves above `MIDDLE_HZ`, once a frame; the synthesis glides between frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from gramophone.models.parameters import Value
from gramophone.models.units import MIDDLE_HZ
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.kept import Kept
from gramophone.realtime.stages.latent.parameters import KEYS, SCALES

VOICED = 0.5
_MIDDLE_NOTE = 69 + 12 * math.log2(MIDDLE_HZ / 440)
"""The MIDI note of 0 octaves."""
_LOWEST, _HIGHEST = -2.0, 3.7
"""Octaves: 40 Hz to 2 kHz, the limits of the output."""
_OUTLIER = 0.5
"""Octaves from the middle that a frame counts as at most: octave errors must not move the middle."""
_MOVING_S = 0.3
"""Time constant of a change of range within a note; between notes it changes at once."""
_OCTAVE_HYSTERESIS, _CERTAIN_AFTER_S = 0.6, 0.3
"""Octaves from the gap beyond which another whole number is taken; seconds until the first number is certain."""
_NOTE_HYSTERESIS = 0.3
"""Semitones by which another note must be nearer than the one that is held."""
_SWELL_S = 0.4
"""Seconds from the onset of a note until its vibrato has its full depth."""


class PitchTransform:
    """Transforms pitch, a frame every `frame_s` seconds.

    `speaker_octaves` `(speakers,)` are the speakers' middle pitches in octaves above `MIDDLE_HZ`, NaN where unknown.
    """

    def __init__(self, frame_s: float, speaker_octaves: Floats) -> None:
        self._frame_s = frame_s
        self._target_octave = Kept(self._octave_of)
        self._set_octaves(speaker_octaves)
        self._range = _Range(frame_s)
        self._tuning = _Tuning(frame_s)
        self._vibrato = _Vibrato(frame_s)

    def set_target_octave(self, octave: float) -> None:
        """Set the middle pitch of the last of the speakers, the target speaker, in octaves above `MIDDLE_HZ`."""
        speaker_octaves = np.where(self._known, self._speaker_octaves, np.float32(np.nan))
        self._set_octaves(np.append(speaker_octaves[:-1], np.float32(octave)))

    def _set_octaves(self, speaker_octaves: Floats) -> None:
        self._known = np.isfinite(speaker_octaves)
        self._speaker_octaves = np.nan_to_num(speaker_octaves)
        self._target_octave.forget()

    def _octave_of(self, speakers: Floats) -> float | None:
        known = float(speakers @ self._known)
        return float(speakers @ self._speaker_octaves) / known if known > 0 else None

    def transform(self, octaves: float, voicing: float, speakers: Floats, values: Mapping[str, Value]) -> float:
        """Return the transformed pitch in octaves above `MIDDLE_HZ`.

        `octaves` and `voicing` (0 to 1) describe the input; `speakers` `(speakers,)` are weights, which do not change
        afterwards; `values` the parameters.
        """
        voiced = voicing >= VOICED
        pitch = (
            octaves
            + self._range.move(octaves, voiced, self._target_octave(speakers), values)
            + float(values["pitch"]) / 12
        )
        pitch += self._tuning.correct(pitch, voiced, values) + self._vibrato.next(voiced, values)
        return min(max(pitch, _LOWEST), _HIGHEST)


class _Range:
    """Moves pitch to the speaker's range, by the input's middle pitch so far."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._middle, self._frames = 0.0, 0
        self._octaves: int | None = None
        self._shift = 0.0

    def move(self, octaves: float, voiced: bool, target_octave: float | None, values: Mapping[str, Value]) -> float:
        """Return the octaves to add."""
        if voiced:
            self._update_middle(octaves, float(values["adaptation"]))
        target = 0.0
        if target_octave is not None and self._frames:
            gap = target_octave - self._middle
            target = {"off": 0.0, "octaves": float(self._whole_octaves(gap, voiced)), "free": gap}[str(values["range"])]
        at_once = not voiced or self._frames == 1
        self._shift = target if at_once else self._shift + (target - self._shift) * min(self._frame_s / _MOVING_S, 1.0)
        return self._shift

    def _update_middle(self, octaves: float, adaptation_s: float) -> None:
        """Update the middle pitch: a running mean in which outliers count little (Huber 1964), near the median."""
        if not self._frames:
            self._middle = octaves
        self._frames = min(self._frames + 1, max(round(adaptation_s / self._frame_s), 1))
        self._middle += min(max(octaves - self._middle, -_OUTLIER), _OUTLIER) * 2 / (self._frames + 1)

    def _whole_octaves(self, gap: float, voiced: bool) -> int:
        """Return the number of whole octaves nearest to the gap; once certain, it changes only between notes."""
        free = not voiced or self._frames * self._frame_s < _CERTAIN_AFTER_S
        if self._octaves is None or (free and abs(gap - self._octaves) > _OCTAVE_HYSTERESIS):
            self._octaves = round(gap)
        return self._octaves


class _Tuning:
    """Corrects the mean pitch of a note to a scale, and leaves movements about the mean (vibrato) alone."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._note: int | None = None
        self._correction = 0.0
        self._was_voiced = False

    def correct(self, octaves: float, voiced: bool, values: Mapping[str, Value]) -> float:
        """Return the octaves to add."""
        if voiced:
            midi_note = _MIDDLE_NOTE + 12 * octaves
            self._note = nearest_note(midi_note, self._note, str(values["scale"]), str(values["key"]))
            target = 0.0 if self._note is None else (self._note - midi_note) / 12
            glide_s = float(values["glide"]) / 1000
            share = 1 - math.exp(-self._frame_s / glide_s) if glide_s > 0 and self._was_voiced else 1.0
            self._correction += (target - self._correction) * share
        self._was_voiced = voiced
        return self._correction


class _Vibrato:
    """Vibrato, which fades in at the onset of each note."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._voiced_s = self._phase = 0.0

    def next(self, voiced: bool, values: Mapping[str, Value]) -> float:
        """Return the octaves to add."""
        self._voiced_s = self._voiced_s + self._frame_s if voiced else 0.0
        self._phase = (self._phase + float(values["vibrato-rate"]) * self._frame_s) % 1.0 if voiced else 0.0
        swell = min(self._voiced_s / _SWELL_S, 1.0)
        return float(values["vibrato"]) / 1200 * swell * math.sin(2 * math.pi * self._phase)


def nearest_note(midi_note: float, held: int | None, scale: str, key: str) -> int | None:
    """Return the MIDI note of a scale that is nearest to a pitch, `midi_note`; None for the scale `off`.

    The note `held` before is kept a little longer (hysteresis), or pitch would flutter between two notes.
    """
    near = _notes(math.floor(midi_note) - 3, math.ceil(midi_note) + 3, scale, key)
    if not near:
        return None
    nearest = min(near, key=lambda note: abs(note - midi_note))
    stays = held in near and abs(held - midi_note) < abs(nearest - midi_note) + _NOTE_HYSTERESIS
    return held if stays else nearest


@cache
def _notes(lowest: int, highest: int, scale: str, key: str) -> tuple[int, ...]:
    """Return the MIDI notes of a scale from the lowest to the highest, both included."""
    steps, first = SCALES[scale], KEYS.index(key)
    return tuple(note for note in range(lowest, highest + 1) if (note - first) % 12 in steps)
