"""Sounds whose pitch is known."""

import numpy as np

RATE = 16_000


def harmonics(hz, amplitudes, seed=0):
    """Return a sound of the pitch `hz`, a number for each sample, whose harmonics have these amplitudes."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    starts = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(amplitudes))
    partials = [
        level * np.sin(number * phase + start) * (number * hz < 0.45 * RATE)
        for number, (level, start) in enumerate(zip(amplitudes, starts, strict=True), start=1)
    ]
    return (0.1 * np.sum(partials, axis=0)).astype(np.float32)


def cents(found, truth):
    return 1200 * np.log2(found / truth)


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def whisper(samples):
    """Return noise through resonances of a vocal tract: no period."""
    from scipy.signal import lfilter

    sound = noise(samples)
    for hz, width in ((600, 120), (1200, 150), (2500, 250)):
        radius = np.exp(-np.pi * width / RATE)
        sound = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hz / RATE), radius**2], sound)
    return (0.05 * sound / sound.std()).astype(np.float32)
