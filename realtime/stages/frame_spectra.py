"""Frames of sound and their spectra, in arrays made once: what comes in, windows over it, and overlap-add.

NumPy's transform makes no arrays of its own if what it reads is double precision.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Doubles, Floats, zeros
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio

Complex = NDArray[np.complex64]
compiled = partial(jit, forceinline=False)


class FrameSpectra:
    """The spectra of windowed frames of so many channels; `values` `(C, F)` holds the newest."""

    def __init__(self, window: Floats, channels: int) -> None:
        self._window = window
        self._framed = np.zeros((channels, len(window)))
        self._wide = np.zeros((channels, len(window) // 2 + 1), np.complex128)
        self.values: Complex = np.zeros(self._wide.shape, np.complex64)

    def look(self, past: Audio) -> Complex:
        """Return the spectra of the newest samples of `past` `(C, T)`; valid until the next call."""
        _frame(past, self._window, self._framed)
        np.fft.rfft(self._framed, axis=1, out=self._wide)
        np.copyto(self.values, self._wide)
        return self.values


class FrameOverlap:
    """Overlap-add of the last samples of frames of `length` samples, under a window `(S,)`.

    `pending` `(C, S)` is the sum so far from the newest hop that was written on.
    """

    def __init__(self, window: Floats, length: int, channels: int) -> None:
        self._window = window
        self._sound = zeros(channels, length)
        self.pending = zeros(channels, len(window))

    def add(self, spectra: Complex, output: Audio) -> None:
        """Add frames with these spectra, and write the next hop `(C, hop)` to `output`."""
        # NumPy's stubs know double precision alone.
        np.fft.irfft(spectra, self._sound.shape[1], axis=1, out=self._sound)  # type: ignore[arg-type]
        _overlap(self._sound, self._window, self.pending, output)


@compiled
def advance(past: Audio, sound: Audio) -> None:
    """Move `past` `(C, T)` on by a hop: `sound` `(C, hop)` becomes its newest."""
    hop, length = sound.shape[1], past.shape[1]
    for channel in range(len(past)):
        for i in range(length - hop):
            past[channel, i] = past[channel, i + hop]
        for i in range(hop):
            past[channel, length - hop + i] = sound[channel, i]


@compiled
def _frame(past: Audio, window: Floats, framed: Doubles) -> None:
    start = past.shape[1] - len(window)
    for channel in range(len(past)):
        for i in range(len(window)):
            framed[channel, i] = past[channel, start + i] * window[i]


@compiled
def _overlap(sound: Audio, window: Floats, pending: Audio, output: Audio) -> None:
    span, hop = len(window), output.shape[1]
    start = sound.shape[1] - span
    for channel in range(len(sound)):
        for i in range(span - hop):
            pending[channel, i] = pending[channel, i + hop] + sound[channel, start + i] * window[i]
        for i in range(span - hop, span):
            pending[channel, i] = sound[channel, start + i] * window[i]
        for i in range(hop):
            output[channel, i] = pending[channel, i]
