"""The pitch transform of a voice: the speaker's range, transposition, correction to a scale, vibrato.

All of it changes pitch alone, in octaves above `MIDDLE_HZ`, once a frame, by a numba kernel; the synthesis glides
between frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gramophone.models.parameters import Value
from gramophone.models.units import MIDDLE_HZ
from gramophone.realtime.kernels.arrays import Doubles, Floats
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stages.latent.kept import Kept
from gramophone.realtime.stages.latent.parameters import KEYS, RANGES, SCALES
from gramophone.realtime.stages.latent.voice_layers import compiled

VOICED = 0.5
_MIDDLE_NOTE = 69 + 12 * math.log2(MIDDLE_HZ / 440)
"""The MIDI note of 0 octaves."""
_LOWEST, _HIGHEST = -2.0, 3.7
"""Octaves: 40 Hz to 2 kHz, the limits of the output."""
_OUTLIER = 0.5
"""Octaves from the middle that a frame counts as at most: octave errors must not move the middle."""
_OCTAVES, _FREE = 1, 2
"""Places in `RANGES`."""
_MOVING_S = 0.3
"""Time constant of a change of range within a note; between notes it changes at once."""
_OCTAVE_HYSTERESIS, _CERTAIN_AFTER_S = 0.6, 0.3
"""Octaves from the gap beyond which another whole number is taken; seconds until the first number is certain."""
_NOTE_HYSTERESIS = 0.3
"""Semitones by which another note must be nearer than the one that is held."""
_SWELL_S = 0.4
"""Seconds from the onset of a note until its vibrato has its full depth."""


class PitchSettings(NamedTuple):
    """What parameters and speakers say.

    `target` is the speakers' middle pitch in octaves, NaN where unknown; `range` a place in `RANGES`. `notes` has bit n
    set where the scale has the notes n semitones above C; none: no correction. Times in s, `pitch` in semitones,
    `vibrato` in cents, its `rate` in Hz.
    """

    target: float
    range: int
    adaptation: float
    pitch: float
    notes: int
    glide: float
    vibrato: float
    rate: float


class PitchState(NamedTuple):
    """State: of the range the middle pitch so far, its frames, whole octaves (NaN: none yet) and the shift, `(4,)`.

    Of the `tuning` the note that is held (NaN: none), the correction, and whether the last frame was voiced, `(3,)`; of
    the `vibrato` for how many seconds the note has been voiced, and the phase in cycles, `(2,)`.
    """

    range: Doubles
    tuning: Doubles
    vibrato: Doubles


class PitchTransform:
    """Transforms pitch, a frame every `frame_s` seconds.

    `speaker_octaves` `(speakers,)` are the speakers' middle pitches in octaves above `MIDDLE_HZ`, NaN where unknown.
    """

    def __init__(self, frame_s: float, speaker_octaves: Floats) -> None:
        self._settings = Kept(self._settings_of)
        self._set_octaves(speaker_octaves)
        state = PitchState(np.array([0.0, 0.0, math.nan, 0.0]), np.array([math.nan, 0.0, 0.0]), np.zeros(2))
        example = PitchSettings(0.0, 0, 0.0, 0.0, 0, 0.0, 0.0, 0.0)
        self._transform = bind(_transform, (frame_s, state), 0.0, 0.0, example)

    def set_target_octave(self, octave: float) -> None:
        """Set the middle pitch of the last of the speakers, the target speaker, in octaves above `MIDDLE_HZ`."""
        speaker_octaves = np.where(self._known, self._speaker_octaves, np.float32(np.nan))
        self._set_octaves(np.append(speaker_octaves[:-1], np.float32(octave)))

    def _set_octaves(self, speaker_octaves: Floats) -> None:
        self._known = np.isfinite(speaker_octaves)
        self._speaker_octaves = np.nan_to_num(speaker_octaves)
        self._settings.forget()

    def _settings_of(self, speakers: Floats, values: Mapping[str, Value]) -> PitchSettings:
        known = float(speakers @ self._known)
        return PitchSettings(
            target=float(speakers @ self._speaker_octaves) / known if known > 0 else math.nan,
            range=RANGES.index(str(values["range"])),
            adaptation=float(values["adaptation"]),
            pitch=float(values["pitch"]),
            notes=sum(1 << (step + KEYS.index(str(values["key"]))) % 12 for step in SCALES[str(values["scale"])]),
            glide=float(values["glide"]) / 1000,
            vibrato=float(values["vibrato"]),
            rate=float(values["vibrato-rate"]),
        )

    def transform(self, octaves: float, voicing: float, speakers: Floats, values: Mapping[str, Value]) -> float:
        """Return the transformed pitch in octaves above `MIDDLE_HZ`.

        `octaves` and `voicing` (0 to 1) describe the input; `speakers` `(speakers,)` are weights; `values` the
        parameters. Neither changes afterwards.
        """
        return self._transform(octaves, voicing, self._settings(speakers, values))  # type: ignore[no-any-return]


@compiled
def _transform(bound: Any, octaves: float, voicing: float, settings: PitchSettings) -> Any:
    """Return the transformed pitch, within its limits."""
    frame_s, state = contents(bound)
    voiced = voicing >= VOICED
    pitch = octaves + _shift(state.range, frame_s, octaves, voiced, settings) + settings.pitch / 12
    pitch += _correction(state.tuning, frame_s, pitch, voiced, settings) + _swing(
        state.vibrato, frame_s, voiced, settings
    )
    return min(max(pitch, _LOWEST), _HIGHEST)


@compiled
def _shift(state: Doubles, frame_s: float, octaves: float, voiced: bool, settings: PitchSettings) -> Any:
    """Return the octaves to add that move pitch to the speakers' range, by the input's middle pitch so far.

    The middle is a running mean in which outliers count little (Huber 1964), near the median.
    """
    if voiced:
        if state[1] == 0:
            state[0] = octaves
        state[1] = min(state[1] + 1, max(round(settings.adaptation / frame_s), 1))
        state[0] += min(max(octaves - state[0], -_OUTLIER), _OUTLIER) * 2 / (state[1] + 1)
    target = 0.0
    if not math.isnan(settings.target) and state[1] > 0:
        gap = settings.target - state[0]
        if settings.range == _OCTAVES:
            target = _whole_octaves(state, frame_s, gap, voiced)
        elif settings.range == _FREE:
            target = gap
    at_once = not voiced or state[1] == 1
    state[3] = target if at_once else state[3] + (target - state[3]) * min(frame_s / _MOVING_S, 1.0)
    return state[3]


@compiled
def _whole_octaves(state: Doubles, frame_s: float, gap: float, voiced: bool) -> Any:
    """Return the number of whole octaves nearest to the gap; once certain, it changes only between notes."""
    free = not voiced or state[1] * frame_s < _CERTAIN_AFTER_S
    if math.isnan(state[2]) or (free and abs(gap - state[2]) > _OCTAVE_HYSTERESIS):
        state[2] = round(gap)
    return state[2]


@compiled
def _correction(state: Doubles, frame_s: float, octaves: float, voiced: bool, settings: PitchSettings) -> Any:
    """Return the octaves to add that bring a note's mean pitch to the scale; movements about the mean stay."""
    if voiced:
        midi_note = _MIDDLE_NOTE + 12 * octaves
        state[0] = _nearest_note(midi_note, state[0], settings.notes)
        target = 0.0 if math.isnan(state[0]) else (state[0] - midi_note) / 12
        share = 1 - math.exp(-frame_s / settings.glide) if settings.glide > 0 and state[2] else 1.0
        state[1] += (target - state[1]) * share
    state[2] = voiced
    return state[1]


@compiled
def _nearest_note(midi_note: float, held: float, notes: int) -> Any:
    """Return the MIDI note of a scale that is nearest to a pitch, `midi_note`; NaN where the scale has none.

    The note `held` before is kept a little longer (hysteresis), or pitch would flutter between two notes.
    """
    nearest, stays = math.nan, False
    for note in range(math.floor(midi_note) - 3, math.ceil(midi_note) + 4):
        if notes >> note % 12 & 1:
            stays = stays or note == held
            if not abs(nearest - midi_note) <= abs(note - midi_note):
                nearest = float(note)
    return held if stays and abs(held - midi_note) < abs(nearest - midi_note) + _NOTE_HYSTERESIS else nearest


@compiled
def _swing(state: Doubles, frame_s: float, voiced: bool, settings: PitchSettings) -> Any:
    """Return the octaves to add for vibrato, which fades in at the onset of each note."""
    state[0] = state[0] + frame_s if voiced else 0.0
    state[1] = (state[1] + settings.rate * frame_s) % 1.0 if voiced else 0.0
    return settings.vibrato / 1200 * min(state[0] / _SWELL_S, 1.0) * math.sin(2 * math.pi * state[1])
