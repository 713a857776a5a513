"""Sizes and units that networks and their players share. Read without torch, which a player may never load."""

from __future__ import annotations

MIDDLE_HZ = 160.0
"""Pitch is in octaves above this frequency."""
MEDIAN_PITCH = "pitch_hz"
"""Key in the notes of a voice's card: its speakers' median pitch in Hz, by name."""
PROSODY = 3
"""Channels of prosody: pitch in octaves above `MIDDLE_HZ`, voicing from 0 to 1, loudness in nats."""
COLOUR = 3
"""Channels of colour: formant shift in octaves, noise gain in nats, spectral tilt in nats per octave."""
SILENCE = -11.5
"""Loudness of silence in nats: -100 dBFS."""
LOG_MEL_CENTRE, LOG_MEL_SCALE = -8.0, 4.0
"""Log powers of sound at -20 dBFS lie about -8, give or take 4 (natural logarithms): so features are near -1 to 1."""
POINTS = 48
"""Points of a spectral envelope, evenly spaced in mel from 0 Hz to half the rate."""
DEFAULT_HZ = 400.0
"""The pitch that stands in, in measuring envelopes, where nothing is voiced."""
ENVELOPE_FFT = 1024
"""Samples of the spectrum that an envelope is measured in."""
BANDS_PER_SEMITONE = 2
"""Of a mosaic's notes."""
MOST_SEMITONES = 12
"""The copies of a mosaic's atoms at other pitches reach an octave up and down."""
LEVEL_BANDS = 32
"""Bands in which a mosaic's levels follow the content's: fine enough for attacks, too coarse for partials."""
MODULATION_HZ = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Rates that part the movements of a mosaic's levels: what is faster than each, up to the next."""
