"""The knobs of the mosaic stage."""

from __future__ import annotations

from gramophone.models.parameters import Parameter

CLIP_KNOBS = (
    Parameter("clip", "", "sound that the mosaic is made of: any audio file"),
    Parameter("clip2", "", "second sound, to choose from beside the first"),
)
"""Those whose change needs a clip to be analysed again."""

KNOBS = (
    Parameter("blend", 0.0, "from the first clip's pieces (0) to the second's (1)"),
    Parameter("strength", 1.0, "how far the sound goes towards the mosaic", smoothing_ms=50),
    Parameter("texture", 0.6, "from the tune, with the clip's colour (0), to the clip's texture (1)", smoothing_ms=50),
    Parameter(
        "grain", 0.45, "how long pieces of the clip play as they are: 0 none at all, 1 a second", smoothing_ms=50
    ),
    Parameter(
        "pitch", "follow", "pieces are tuned to the sound, the nearest, or any", choices=("follow", "nearest", "free")
    ),
    Parameter("reach", 6.0, "how far pieces may be tuned, where pitch is follow", "semitones", (0, 12)),
    Parameter("sharpness", 0.34, "from four pieces at a time (0) to one (1)"),
    Parameter("onsets", 0.88, "how far attacks and levels are those of the sound, not the clip's", smoothing_ms=50),
    Parameter("dynamics", 0.7, "how far levels move as the clip's do, by rate of modulation", smoothing_ms=50),
    Parameter("guard", 1.0, "how far words are kept clear while somebody speaks", smoothing_ms=50),
    Parameter("position", 0.5, "where in the clip pieces are taken from, where region is below 1"),
    Parameter("region", 1.0, "how far around the position; 1 is anywhere"),
    Parameter("speed", 1.0, "how fast long pieces go through the clip; 0 stands, 1 as recorded", "", (0, 2)),
    Parameter("freeze", False, "hold the pieces that play now"),
    Parameter("gain", 0.0, "louder or softer than what comes in", "dB", (-24, 24), smoothing_ms=50),
)
"""Those that can move from frame to frame."""

WINDOWS = {"short": 4, "long": 8, "longest": 16}
"""Synthesis windows in hops by the name of the setting `window`: 21, 43 and 85 ms late at 48 kHz."""
