"""Speech as pitch, envelope and breath, and back: the WORLD vocoder (Morise, Yokomori and Ozawa 2016), at 16 kHz.

Frames lie in the middle of hops of 128 samples, as the content of a causal encoder does.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import RATE, Sound

HOP = 128
ENVELOPE = 40
"""Coefficients of a coded envelope, a mel cepstrum; one more codes how breathy a frame is."""
_FFT = 1024
_HOP_MS = 1000 * HOP / RATE
_LEAST_HZ = 40.0
Frames = NDArray[np.float64]


@dataclass(frozen=True)
class Vocoded:
    """A sound's pitch in Hz, 0 where there is none `(n,)`, and its envelope and breath, coded, `(n, ENVELOPE + 1)`."""

    hz: Frames
    coded: Frames

    @property
    def octaves(self) -> Frames:
        """Pitch in octaves above 1 Hz, NaN where there is none."""
        return np.asarray(np.log2(self.hz, out=np.full_like(self.hz, np.nan), where=self.hz > _LEAST_HZ))


def vocoded(sound: Sound) -> Vocoded:
    """Return what WORLD measures in a sound, a frame for each whole hop."""
    world = pyworld()
    x = np.ascontiguousarray(sound, np.float64)
    hz, times = world.dio(x, RATE, frame_period=_HOP_MS / 2)
    middles = slice(1, 2 * (len(sound) // HOP), 2)
    hz, times = np.ascontiguousarray(hz[middles]), np.ascontiguousarray(times[middles])
    hz = world.stonemask(x, hz, times, RATE)
    envelope = world.code_spectral_envelope(world.cheaptrick(x, hz, times, RATE, fft_size=_FFT), RATE, ENVELOPE)
    breath = world.code_aperiodicity(world.d4c(x, hz, times, RATE, fft_size=_FFT), RATE)
    return Vocoded(hz, np.concatenate([envelope, breath], 1))


def sounded(spoken: Vocoded, loudness: Frames) -> Sound:
    """Return the sound of measurements, each frame at an RMS of `loudness` `(n,)`."""
    world = pyworld()
    envelope = world.decode_spectral_envelope(np.ascontiguousarray(spoken.coded[:, :ENVELOPE]), RATE, _FFT)
    envelope *= (loudness**2 / np.maximum(_power(envelope), 1e-20))[:, None]
    breath = world.decode_aperiodicity(np.ascontiguousarray(spoken.coded[:, ENVELOPE:]), RATE, _FFT)
    sound = world.synthesize(
        np.ascontiguousarray(spoken.hz), np.ascontiguousarray(envelope), np.clip(breath, 0, 1), RATE, _HOP_MS
    )
    return np.asarray(sound[: len(spoken.hz) * HOP], np.float32)


def loudness(spoken: Vocoded) -> Frames:
    """Return each frame's RMS by its envelope, up to a factor that is the same for all, `(n,)`."""
    coded = np.ascontiguousarray(spoken.coded[:, :ENVELOPE])
    return np.sqrt(_power(pyworld().decode_spectral_envelope(coded, RATE, _FFT)))


@functools.cache
def pyworld() -> ModuleType:
    """Return the library, whose release 0.3.5 asks for `pkg_resources`, which setuptools 81 left out.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if importlib.util.find_spec("pkg_resources"):
        return importlib.import_module("pyworld")
    stand_in = ModuleType("pkg_resources")
    stand_in.get_distribution = importlib.metadata.distribution  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stand_in
    try:
        return importlib.import_module("pyworld")
    finally:
        del sys.modules["pkg_resources"]


def _power(envelope: Frames) -> Frames:
    return np.asarray(envelope.mean(axis=1))
