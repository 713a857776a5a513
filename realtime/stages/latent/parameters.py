"""The knobs of the latent stage: who speaks, what becomes of the latents, and what a kind of model has of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gramophone.models.parameters import Parameter
from gramophone.realtime.stages.latent.scales import KEYS, SCALES
from gramophone.realtime.stages.speaker_blend import speaker_knobs

if TYPE_CHECKING:
    from gramophone.models.checkpoint import Card

SCALE = "-scale"
"""What the name of a latent's second knob ends in; its first, the offset, is called as the latent is."""
MOMENTS = "moments"
"""Under this a card notes each speaker's latents: mean `(D,)` and covariance `(D, D)`."""
RANGES = ("off", "octaves", "free")
AIR = Parameter("air", 0.0, "how much is let through, as it is, of what lies above the model's band", smoothing_ms=50)
_STYLE = (
    Parameter("clip", "", "sound whose style is taken: any audio file"),
    Parameter("strength", 1.0, "how far the latents go towards the style of the clip", smoothing_ms=50),
    Parameter("adaptation", 8.0, "how long the stage remembers what it heard", "s", (0.5, 60), "log", smoothing_ms=0),
    Parameter("clip2", "", "a second sound, which goes round and round, to morph to"),
    Parameter("morph", 0.0, "from what comes in (0) to the second sound (1)", smoothing_ms=50),
    Parameter("freeze", False, "hold the latents of this moment; the other knobs go on"),
    Parameter("store", False, "when it is turned on, the latents of that moment are kept for recall"),
    Parameter("recall", 0.0, "from the latents as they are (0) to those kept (1)", smoothing_ms=50),
    AIR,
)
_LIKENESS = Parameter("likeness", 0.0, "how far the latents move to where the speaker's usually lie", smoothing_ms=50)
_OWN = {
    "vlae": (
        Parameter("temperature", 1.0, "how freely it speaks: 0 always the likeliest, above 1 wilder", range=(0, 2)),
        Parameter("nucleus", 1.0, "how much of what is likely is drawn from: less leaves out the least likely"),
        Parameter("seed", 0.0, "another number draws another sound", range=(0, 9999), smoothing_ms=0),
    ),
    "voice": (
        Parameter("guest", "", "a clip of 5 to 30 s: whoever is heard in it becomes a speaker"),
        Parameter("guest-share", 1.0, "from the speakers (0) to the guest (1)", smoothing_ms=50),
        Parameter("character", 1.0, "from nobody (0) through the speaker (1) on", range=(0, 2), smoothing_ms=50),
        Parameter("pitch", 0.0, "how much higher it is sung", "semitones", (-24, 24), smoothing_ms=50),
        Parameter("range", "off", "moves your usual pitch to the speaker's; octaves stay in key", choices=RANGES),
        Parameter("scale", "off", "notes that pitch is drawn to", choices=tuple(SCALES)),
        Parameter("key", "C", "the scale's first note", choices=KEYS),
        Parameter("glide", 80.0, "time that it takes to be in tune", "ms", (0, 1000), smoothing_ms=0),
        Parameter("vibrato", 0.0, "how far the pitch swings", "cents", (0, 200)),
        Parameter("vibrato-rate", 5.5, "how fast it swings", "Hz", (2, 10)),
        Parameter("voicing", 0.0, "from all whispered (-1) through as you do it (0) to all sung (1)", range=(-1, 1)),
        Parameter("formant", 0.0, "a longer throat or a shorter one", "semitones", (-12, 12), smoothing_ms=50),
        Parameter("breath", 0.0, "louder or softer noise beside the tone", "dB", (-24, 24), smoothing_ms=50),
        Parameter("brightness", 0.0, "tilt of the spectrum", "dB/octave", (-6, 6), smoothing_ms=50),
    ),
}


def knobs_of(kind: str, card: Card, latents: int) -> tuple[Parameter, ...]:
    """Return the knobs of a stage with a model of this kind, card and number of latents."""
    said = card.latents or latent_knobs(card, latents)
    dimensions = (knob for pair in zip(latent_knobs(card, latents), said, strict=True) for knob in _dimension(*pair))
    likeness = (_LIKENESS,) if MOMENTS in card.notes else ()
    return *speaker_knobs(card.speakers), *likeness, *_STYLE, *dimensions, *_OWN[kind]


def latent_knobs(card: Card, latents: int) -> tuple[str, ...]:
    """Return what the offsets of the latents are called: `z1-brightness`, if the first is `z1 brightness +`."""
    plain = ["-".join(re.findall("[a-z0-9]+", name.lower())) for name in card.latents] or [""] * latents
    return tuple(
        name if re.match(f"z{number}(-|$)", name) else f"z{number}-{name}".rstrip("-")
        for number, name in enumerate(plain, 1)
    )


def _dimension(knob: str, said: str) -> tuple[Parameter, Parameter]:
    return (
        Parameter(knob, 0.0, f"what is added to latent {said}", range=(-3, 3), smoothing_ms=50),
        Parameter(knob + SCALE, 1.0, f"how far latent {said} moves", range=(0, 2), smoothing_ms=50),
    )
