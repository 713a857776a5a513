"""Which family of instruments plays, by a tagger that was trained on real recordings (MTT_musicnn)."""

from __future__ import annotations

import torch

from gramophone.offline.data.mono_audio import Sound, heard
from gramophone.offline.judges.taggers import load_tagger, patches
from gramophone.offline.judges.weights import load_tags

FAMILIES = {"violin": "strings", "cello": "strings", "flute": "flute", "choir": "voices"}
"""The family of each instrument that the tagger has a tag for; it has none for brass, nor for reeds."""
_TAGS = {
    "strings": ("strings", "violin", "cello"),
    "flute": ("flute",),
    "voices": ("choir", "choral", "vocal", "vocals", "voice", "singing", "female voice", "male voice"),
    "guitar": ("guitar",),
    "keys": ("piano", "harpsichord"),
    "plucked": ("sitar", "harp"),
    "drums": ("drums",),
    "synth": ("synth",),
}
"""What a family is called among the tagger's fifty tags."""


@torch.inference_mode()
def family_of(sound: Sound, rate: int) -> str:
    """Return the family whose likeliest tag is the likeliest of all.

    Raises:
        PackageError: the tagger cannot be had.
    """
    tags = load_tags("MTT")
    likely = load_tagger("MTT_musicnn").tags(patches(heard(sound, rate))).mean(0)
    return max(_TAGS, key=lambda family: max(float(likely[tags.index(tag)]) for tag in _TAGS[family]))
