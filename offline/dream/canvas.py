"""The parameterisation that is optimised: the samples themselves (naive), or a spectrum scaled as music is on average.

A descent in samples moves all frequencies alike, so it ends in white noise. In a spectrum whose bins are scaled as
music is on average, the same step moves the bass far and the treble little (as Olah, Mordvintsev and Schubert 2017 do
with pictures).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from gramophone.models.nets.tagger import RATE

_WINDOW, _HOP = 2048, 512
_LOWEST_HZ, _CORNER_HZ = 50.0, 100.0
_SLOPE = 1.0
"""Amplitude falls as 1 / f above the corner: 6 dB an octave, as in music. Below the lowest there is next to nothing."""
_STEEP, _INAUDIBLE = 3.0, 0.1
"""How fast the level falls below the lowest frequency, and where it ends: at 0 Hz it is 60 dB down, not 0."""
_FAINT = 0.05
"""Root mean square of the noise that a dream begins with: -26 dBFS."""


class Canvas(ABC):
    """A differentiable parameterisation of a sound `(T,)`."""

    @abstractmethod
    def start(self, sound: Tensor) -> Tensor:
        """Return the parameters of a sound."""

    @abstractmethod
    def sound(self, x: Tensor) -> Tensor:
        """Return the sound of `x`."""

    def open_to(self, hertz: float) -> Tensor:
        """Return the mask of a step in which only what lies below a frequency may change."""
        return torch.ones(())


class Samples(Canvas):
    """The samples themselves."""

    def start(self, sound: Tensor) -> Tensor:
        """Return the sound."""
        return sound.clone()

    def sound(self, x: Tensor) -> Tensor:
        """Return it."""
        return x


class Spectrum(Canvas):
    """A complex short-time spectrum `(F, n, 2)` of so many samples, each bin in units of its usual level."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._window = torch.hann_window(_WINDOW)
        self._hertz = _frequencies(_WINDOW // 2 + 1)[:, None, None]
        self._scale = _audible(_WINDOW // 2 + 1)[:, None]

    def start(self, sound: Tensor) -> Tensor:
        """Return the spectrum of a sound."""
        spectrum = torch.stft(sound, _WINDOW, _HOP, window=self._window, return_complex=True)
        return torch.view_as_real(spectrum / self._scale).contiguous()

    def sound(self, x: Tensor) -> Tensor:
        """Return the sound by overlap-add."""
        spectrum = torch.view_as_complex(x.contiguous()) * self._scale
        return torch.istft(spectrum, _WINDOW, _HOP, window=self._window, length=self._frames)

    def open_to(self, hertz: float) -> Tensor:
        """Return 1 below the frequency and 0 above, `(F, 1, 1)`."""
        return (self._hertz <= hertz).float()


def usual_level(bins: int) -> Tensor:
    """Return the amplitude that music has on average at so many frequencies from 0 to half the rate."""
    return (_frequencies(bins).clamp_min(_CORNER_HZ) / _CORNER_HZ).pow(-_SLOPE)


def _audible(bins: int) -> Tensor:
    """Return the same, but for what is too low to be heard."""
    return usual_level(bins) * (_frequencies(bins) / _LOWEST_HZ).clamp(_INAUDIBLE, 1).pow(_STEEP)


def _frequencies(bins: int) -> Tensor:
    return torch.linspace(0, RATE / 2, bins)


def faint_noise(canvas: Canvas, frames: int, seed: int) -> Tensor:
    """Return noise `(frames,)` in the colours of a canvas: what it makes of numbers that are all alike."""
    chance = torch.Generator().manual_seed(seed)
    sound = canvas.sound(torch.randn(canvas.start(torch.zeros(frames)).shape, generator=chance))
    return sound * _FAINT / sound.square().mean().sqrt()
