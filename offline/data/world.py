"""Speech as pitch, envelope and breath, as the WORLD vocoder measures them (Morise, Yokomori and Ozawa 2016).

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
import torch
from numpy.typing import NDArray

from gramophone.models.layers.mel import hz_to_mel
from gramophone.offline.data.mono_audio import RATE, Sound

HOP = 128
POINTS = 48
"""Points of an envelope, evenly spaced in mel from 0 Hz to 8 kHz; one more number says how breathy a frame is."""
_FFT = 1024
_HOP_MS = 1000 * HOP / RATE
_LEAST_HZ = 40.0
_LEAST_POWER = 1e-12
Frames = NDArray[np.float64]


@dataclass(frozen=True)
class Vocoded:
    """A sound's pitch in Hz, 0 where there is none `(n,)`, and its envelope and breath `(n, POINTS + 1)`.

    The envelope is the natural logarithm of power at each point; the breath the noise in the amplitude at 3 kHz, in dB.
    """

    hz: Frames
    coded: Frames

    @property
    def octaves(self) -> Frames:
        """Pitch in octaves above 1 Hz, NaN where there is none."""
        return np.asarray(np.log2(self.hz, out=np.full_like(self.hz, np.nan), where=self.hz > _LEAST_HZ))


def vocoded(sound: Sound) -> Vocoded:
    """Return WORLD's analysis of a sound, a frame for each whole hop."""
    world = pyworld()
    x = np.ascontiguousarray(sound, np.float64)
    hz, times = world.dio(x, RATE, frame_period=_HOP_MS / 2)
    middles = slice(1, 2 * (len(sound) // HOP), 2)
    hz, times = np.ascontiguousarray(hz[middles]), np.ascontiguousarray(times[middles])
    hz = world.stonemask(x, hz, times, RATE)
    envelope = np.log(np.maximum(world.cheaptrick(x, hz, times, RATE, fft_size=_FFT), _LEAST_POWER)) @ _points()
    breath = world.code_aperiodicity(world.d4c(x, hz, times, RATE, fft_size=_FFT), RATE)
    return Vocoded(hz, np.concatenate([envelope, breath], 1))


def loudness(spoken: Vocoded) -> Frames:
    """Return each frame's RMS by its envelope, up to a factor that is the same for all, `(n,)`."""
    return np.sqrt(_power(_spectrum(spoken)))


@functools.cache
def _points() -> Frames:
    """Return what reads a spectrum at the points, each as the mean of the bins around it, `(bins, POINTS)`."""
    weights = _hats().T.copy()
    return np.asarray(weights / weights.sum(axis=0))


@functools.cache
def _hats() -> Frames:
    """Return what spreads points over the bins of a spectrum, linear in mel, `(POINTS, bins)`."""
    mel = hz_to_mel(torch.linspace(0, RATE / 2, _FFT // 2 + 1, dtype=torch.float64)).numpy()
    place = mel / mel[-1] * (POINTS - 1)
    return np.asarray(np.maximum(1 - np.abs(place - np.arange(POINTS)[:, None]), 0))


def _spectrum(spoken: Vocoded) -> Frames:
    return np.asarray(np.exp(spoken.coded[:, :POINTS] @ _hats()))


@functools.cache
def pyworld() -> ModuleType:
    """Return the library, whose release 0.3.5 asks for `pkg_resources`, which setuptools 81 removed.

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
