"""Scales: which notes there are in a key, and which of them a pitch is nearest to."""

from __future__ import annotations

import math

SCALES: dict[str, tuple[int, ...]] = {
    "off": (),
    "chromatic": tuple(range(12)),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
"""Semitones above the key."""
KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_STICKY = 0.3
"""Semitones by which another note must be nearer than the one that is held, or pitch would flutter between two."""


def nearest_note(place: float, held: int | None, scale: str, key: str) -> int | None:
    """Return the MIDI note of a scale nearest to a place, the held one a little longer; None if there is no scale."""
    steps, first = SCALES[scale], KEYS.index(key)
    near = [note for note in range(math.floor(place) - 3, math.ceil(place) + 4) if (note - first) % 12 in steps]
    if not near:
        return None
    nearest = min(near, key=lambda note: abs(note - place))
    stays = held in near and abs(held - place) < abs(nearest - place) + _STICKY
    return held if stays else nearest
