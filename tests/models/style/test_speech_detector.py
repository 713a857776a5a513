"""Speech is found, in noise and by telephone too; percussion and instruments alone are not taken for it."""

import numpy as np
import pytest
import soxr
from scipy.signal import butter, sosfilt

from gramophone.models.layers.mel import MelBands
from gramophone.models.style.speech_detector import BANDS, RANGE_HZ, SpeechDetector
from gramophone.presets import CLIPS
from gramophone.realtime.files import read

RATE, HOP, WINDOW, SECONDS = 48_000, 256, 1024, 16
INSTRUMENTS = ("brass", "cello", "drums", "flute", "guitar", "music-box", "organ", "strings", "synth")


def certainty(sound):
    """Mean certainty from the fourth second on, of a sound repeated until it lasts 16 s."""
    framed = np.lib.stride_tricks.sliding_window_view(np.resize(sound, SECONDS * RATE), WINDOW)[::HOP]
    filters = MelBands(RATE, WINDOW, BANDS, *RANGE_HZ).weights.numpy().T
    powers = np.abs(np.fft.rfft(framed * np.hanning(WINDOW).astype(np.float32), axis=1)) ** 2 @ filters
    detector, found = SpeechDetector.new(RATE / HOP), []
    for part in np.array_split(powers, 2 * SECONDS):
        detector = detector.after(part)
        found.append(detector.certainty)
    return float(np.mean(found[8:]))


def clip(name):
    sound, rate = read(CLIPS / f"{name}.flac")
    return soxr.resample(sound.mean(0), rate, RATE)


def percussion(seed, tuned):
    """Strokes on two or three drums or bars, a bar of sixteen steps with changes: damped partials and a click."""
    random = np.random.default_rng(seed)
    sound, step = np.zeros((SECONDS + 1) * RATE), round(RATE * random.uniform(0.1, 0.2))
    time = np.arange(RATE) / RATE
    drums = []
    for _ in range(3):
        partials = random.uniform(120, 500) * np.array([1, 2, 3, 4] if tuned else [1, 1.59, 2.14, 2.65, 3.5])
        decays = random.uniform(0.03, 0.3) / np.arange(1, len(partials) + 1)
        tones = np.sin(2 * np.pi * partials[:, None] * time) * np.exp(-time / decays[:, None])
        click = random.normal(0, 1, RATE) * np.exp(-time / random.uniform(0.002, 0.02))
        drums.append(tones.sum(0) + click * random.uniform(0.1, 2))
    bar = random.random((3, 16)) < 0.25
    for number, start in enumerate(range(0, SECONDS * RATE, step)):
        for drum, struck in zip(drums, bar[:, number % 16] ^ (random.random(3) < 0.05), strict=True):
            if struck:
                sound[start : start + RATE] += drum * random.uniform(0.3, 1)
    return sound[: SECONDS * RATE]


def in_noise(sound):
    return sound + np.random.default_rng(0).normal(0, sound.std() / 4, len(sound))


def by_telephone(sound):
    return sosfilt(butter(4, (300, 3400), "band", fs=RATE, output="sos"), sound)


@pytest.mark.parametrize("heard_through", [np.array, in_noise, by_telephone])
def test_a_voice_is_speech(heard_through):
    assert certainty(heard_through(clip("voice"))) > 0.9


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tuned", [False, True])
def test_percussion_is_not_speech(seed, tuned):
    assert certainty(percussion(seed, tuned)) < 0.3


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_an_instrument_is_not_speech(name):
    assert certainty(clip(name)) < 0.3


def test_the_level_does_not_matter():
    assert certainty(1e-3 * clip("voice")) == pytest.approx(certainty(clip("voice")), abs=1e-3)
