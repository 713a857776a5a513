"""The parameters of the latent stage: speakers, the transform of latents, and those of each kind of model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gramophone.models.parameters import Parameter, grouped
from gramophone.realtime.stages.speaker_blend import speaker_knobs

if TYPE_CHECKING:
    from gramophone.models.checkpoint import Card

SCALES: dict[str, tuple[int, ...]] = {
    "off": (),
    "chromatic": tuple(range(12)),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
"""The notes of each scale, in semitones above the key."""
KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALE = "-scale"
"""The suffix of a latent's scale parameter; its offset parameter has the latent's own name."""
MOMENTS = "moments"
"""The key of a card's notes under which it gives each speaker's latents: mean `(D,)` and covariance `(D, D)`."""
RANGES = ("off", "octaves", "free")
AIR, GATE = grouped(
    "colour",
    Parameter("air", 0.0, "how much of the input above the model's band passes unchanged", smoothing_ms=50),
    Parameter(
        "gate",
        40.0,
        "how far what is no voice is lowered, such as hum and the noise of a room; 0 leaves all as it is",
        "dB",
        (0, 60),
        smoothing_ms=50,
    ),
)
_STYLE = (
    *grouped(
        "style",
        Parameter("clip", "", "sound whose style is taken: any audio file"),
        Parameter("strength", 1.0, "how far the latents move towards the style of the clip", smoothing_ms=50),
    ),
    *grouped(
        "style",
        Parameter(
            "adaptation", 8.0, "how long the statistics of the input reach back", "s", (0.5, 60), "log", smoothing_ms=0
        ),
        advanced=True,
    ),
    *grouped(
        "blend",
        Parameter("clip2", "", "a second sound, looped, to morph to"),
        Parameter("morph", 0.0, "from the input (0) to the second sound (1)", smoothing_ms=50),
        Parameter("freeze", False, "hold the latents of this moment; the other parameters go on"),
        Parameter("store", False, "switching it on keeps the latents of that moment for recall"),
        Parameter("recall", 0.0, "from the current latents (0) to those kept (1)", smoothing_ms=50),
    ),
    AIR,
    GATE,
)
_ATTRIBUTE_REACH = 100.0
(_SIMILARITY,) = grouped(
    "voice", Parameter("likeness", 0.0, "how far the latents move to the speaker's statistics", smoothing_ms=50)
)
_BY_KIND = {
    "vlae": grouped(
        "chance",
        Parameter("temperature", 1.0, "of the random draw: 0 always the likeliest, above 1 wilder", range=(0, 2)),
        Parameter("nucleus", 1.0, "probability mass that is drawn from: less leaves out the least likely"),
        Parameter("seed", 0.0, "seed of the random draw", range=(0, 9999), smoothing_ms=0),
        advanced=True,
    ),
    "voice": (
        *grouped(
            "voice",
            Parameter("guest", "", "a clip of 5 to 30 s of one voice, which becomes the target speaker"),
            Parameter("guest-share", 1.0, "from the model's speakers (0) to the guest's voice (1)", smoothing_ms=50),
            Parameter(
                "character", 1.0, "from the mean speaker (0) through the speaker (1) on", range=(0, 2), smoothing_ms=50
            ),
        ),
        *grouped(
            "pitch",
            Parameter("pitch", 0.0, "transposition", "semitones", (-24, 24), smoothing_ms=50),
            Parameter("range", "off", "moves your mean pitch to the speaker's; octaves stay in key", choices=RANGES),
            Parameter("scale", "off", "scale that pitch is corrected to", choices=tuple(SCALES)),
            Parameter("key", "C", "root note of the scale", choices=KEYS),
            Parameter("glide", 80.0, "time constant of the pitch correction", "ms", (0, 1000), smoothing_ms=0),
            Parameter("vibrato", 0.0, "depth of the vibrato", "cents", (0, 200)),
            Parameter("vibrato-rate", 5.5, "rate of the vibrato", "Hz", (2, 10)),
        ),
        *grouped(
            "colour",
            Parameter("voicing", 0.0, "from all whispered (-1) through unchanged (0) to all voiced (1)", range=(-1, 1)),
            Parameter(
                "formant", 0.0, "a longer vocal tract (-) or a shorter one (+)", "semitones", (-12, 12), smoothing_ms=50
            ),
            Parameter("breath", 0.0, "gain of the noise relative to the tone", "dB", (-24, 24), smoothing_ms=50),
            Parameter("brightness", 0.0, "spectral tilt", "dB/octave", (-6, 6), smoothing_ms=50),
        ),
    ),
}


def parameters_of(kind: str, card: Card, latents: int) -> tuple[Parameter, ...]:
    """Return the parameters of a stage that plays a model of this kind, with its card and number of latents."""
    descriptions = card.latents or card.notes.get("named") or latent_names(card, latents)
    pairs = zip(latent_names(card, latents), descriptions, strict=True)
    dimensions = (knob for pair in pairs for knob in _dimension(*pair))
    similarity = (_SIMILARITY,) if MOMENTS in card.notes else ()
    if kind == "torchscript":  # any sound: what is no voice is not lowered
        style = tuple(replace(knob, default=0.0) if knob is GATE else knob for knob in _STYLE)
        return *style, *dimensions, *attribute_knobs(card.notes["attributes"]).values()
    return *speaker_knobs(card.speakers), *similarity, *_STYLE, *dimensions, *_BY_KIND.get(kind, ())


def attribute_knobs(attributes: Mapping[str, float | bool]) -> dict[str, Parameter]:
    """Return the parameter for each setting of a TorchScript model's own; they do not say what range they have."""
    knobs = {}
    for name, value in attributes.items():
        knob = "own-" + "-".join(re.findall("[a-z0-9]+", name.lower()))
        reach = max(_ATTRIBUTE_REACH, abs(float(value)))
        default = value if isinstance(value, bool) else float(value)
        knobs[name] = Parameter(knob, default, f"the model's own setting {name}", range=(-reach, reach), smoothing_ms=0)
    return knobs


def latent_names(card: Card, latents: int) -> tuple[str, ...]:
    """Return the names of the latents' offset parameters, such as `z1-brightness` for a latent `z1 brightness +`."""
    plain = ["-".join(re.findall("[a-z0-9]+", name.lower())) for name in card.latents] or [""] * latents
    return tuple(
        name if re.match(f"z{number}(-|$)", name) else f"z{number}-{name}".rstrip("-")
        for number, name in enumerate(plain, 1)
    )


def _dimension(knob: str, description: str) -> tuple[Parameter, ...]:
    offset = Parameter(knob, 0.0, f"offset added to latent {description}", range=(-3, 3), smoothing_ms=50)
    scale = Parameter(knob + SCALE, 1.0, f"factor on latent {description}", range=(0, 2), smoothing_ms=50)
    is_named = not re.fullmatch(r"z\d+", description)
    return *grouped("latents", offset, advanced=not is_named), *grouped("latents", scale, advanced=True)
