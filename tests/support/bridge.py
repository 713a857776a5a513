"""Sounds for hosts of the plug-in, and what they are to play."""

import numpy as np
from scipy.signal import fftconvolve

from gramophone.presets import DEFAULT
from gramophone.realtime.engine import Engine

RATE = 44_100
HALF = """
title = "Half"
description = "Half as loud, some time later."

[[stages]]
name = "level"
kind = "gain"
gain = -6.020599913279624

[[stages]]
name = "ceiling"
kind = "brickwall"
"""


def compile_default():
    """Have all compiled that the default preset needs: what a plug-in plays first in a host that waits for it."""
    Engine.load(DEFAULT, rate=RATE, channels=2).close()


def noise(seconds, channels=2, rate=RATE):
    """Return the same noise each time, `(channels, frames)`."""
    generator = np.random.default_rng(1)
    return (0.1 * generator.standard_normal((channels, round(seconds * rate)))).astype(np.float32)


def rendered(preset, sound, *settings, rate=RATE):
    """Return what `gramophone render --set ...` gives."""
    return Engine.load(preset, rate=rate, channels=len(sound), settings=settings).render(sound)


def in_line(played, expected):
    """Return the part of a longer sound where it is most like another, as a host would that compensates latency."""
    likeness = fftconvolve(played[0], expected[0, ::-1], mode="valid")
    late = int(np.argmax(likeness))
    return played[:, late : late + expected.shape[1]]
