"""The parameters of the voice stage: whose voice, how near, and what a player turns."""

from __future__ import annotations

from gramophone.models.checkpoint import Card
from gramophone.models.parameters import Parameter
from gramophone.realtime.stages.latent.parameters import AIR, GATE, KEYS, RANGES, SCALES
from gramophone.realtime.stages.speaker_blend import speaker_knobs

TARGET = "target"
_KNOBS = (
    Parameter(TARGET, "", "anybody's voice: a clip of 1 to 300 s, or the name of an enrolled voice"),
    Parameter("target-share", 1.0, "from the model's speakers (0) to the target's voice (1)", smoothing_ms=50),
    Parameter("likeness", 0.33, "from the clearest words (0) to the most like the target (1)", smoothing_ms=50),
    Parameter("detail", 0.0, "how much of your own sound's detail comes through: clearer, less like", smoothing_ms=50),
    Parameter("character", 1.4, "from the mean speaker (0) through the speaker (1) on", range=(0, 2), smoothing_ms=50),
    Parameter("pitch", 0.0, "transposition", "semitones", (-24, 24), smoothing_ms=50),
    Parameter("range", "off", "moves your mean pitch to the speaker's; octaves stay in key", choices=RANGES),
    Parameter("intonation", 1.0, "with a free range: pitch moves as widely as yours (0) or the speaker's (1)"),
    Parameter("adaptation", 8.0, "how long your mean pitch reaches back", "s", (0.5, 60), "log", smoothing_ms=0),
    Parameter("scale", "off", "scale that pitch is corrected to", choices=tuple(SCALES)),
    Parameter("key", "C", "root note of the scale", choices=KEYS),
    Parameter("glide", 80.0, "time constant of the pitch correction", "ms", (0, 1000), smoothing_ms=0),
    Parameter("vibrato", 0.0, "depth of the vibrato", "cents", (0, 200)),
    Parameter("vibrato-rate", 5.5, "rate of the vibrato", "Hz", (2, 10)),
    Parameter("voicing", 0.0, "from all whispered (-1) through unchanged (0) to all voiced (1)", range=(-1, 1)),
    Parameter("formant", 0.0, "a longer vocal tract (-) or a shorter one (+)", "semitones", (-12, 12), smoothing_ms=50),
    Parameter("breath", 0.0, "gain of the noise relative to the tone", "dB", (-24, 24), smoothing_ms=50),
    Parameter("brightness", 0.0, "spectral tilt", "dB/octave", (-6, 6), smoothing_ms=50),
    AIR,
    GATE,
)


def parameters_of(card: Card) -> tuple[Parameter, ...]:
    """Return the parameters of a stage that plays a model with this card."""
    return *speaker_knobs(card.speakers), *_KNOBS
