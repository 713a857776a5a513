"""What a live session sounds like, for people's eyes: spectra, in bands that are equal intervals wide, and levels.

Both are computed from shared memory by the process that shows them, and the audio thread does nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.dsp.meters import Level, level_of
from gramophone.realtime.live.shared_state import BlockRing
from gramophone.realtime.live.status import Status

BANDS = 96
LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
FLOOR_DB = -96.0
WINDOW = 2048
"""Samples of a spectrum: 43 ms at 48 kHz."""


def band_levels(samples: NDArray[np.float32], rate: int) -> NDArray[np.uint8]:
    """Return the levels, `(BANDS,)`, of `WINDOW` samples at `rate` Hz.

    255 is a sine at full scale, 0 is `FLOOR_DB` or less, and between them it is even in dB. A band has the level of its
    strongest bin, so that a tone is as bright whatever its pitch.
    """
    window, bins = _layout(rate)
    power = np.append(np.abs(np.fft.rfft(samples * window)) ** 2, 0.0)
    level_db = 10 * np.log10(np.maximum(np.maximum.reduceat(power, bins)[::2], 1e-30))
    return np.clip(np.round(255 * (1 - level_db / FLOOR_DB)), 0, 255).astype(np.uint8)


@lru_cache(4)
def _layout(rate: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the window and each band's bins, the first and the one after the last, one pair after the other.

    The Hann window is scaled so that a sine at full scale has the power 1 in its bin.
    """
    window = np.hanning(WINDOW + 1)[:-1]
    edges = LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ) ** (np.arange(BANDS + 1) / BANDS) * WINDOW / rate
    first = np.minimum(np.floor(edges[:-1] + 0.5), WINDOW // 2)
    after = np.clip(np.floor(edges[1:] + 0.5), first + 1, WINDOW // 2 + 1)
    return (window * 2 / window.sum()).astype(np.float32), np.stack((first, after), 1).astype(np.int64).ravel()


class SpectrumTap:
    """The spectrum of the newest sound in a ring of blocks. One thread at a time."""

    def __init__(self, ring: BlockRing, status: Status) -> None:
        self._ring, self._status = ring, status
        self._number, self._levels = -1, b""

    def levels(self) -> bytes:
        """Return the spectrum of now as `band_levels` gives it, one byte a band; none before there is enough sound."""
        rate, newest = int(self._status["rate"]), self._ring.newest
        if not rate or newest < 0:
            return b""
        if newest != self._number:
            samples = self._latest(newest)
            if samples is not None:
                self._number, self._levels = newest, band_levels(samples, rate).tobytes()
        return self._levels

    def _latest(self, newest: int) -> NDArray[np.float32] | None:
        """Return the mean of the channels of the last `WINDOW` samples; None where blocks are missing."""
        blocks: list[NDArray[np.float32]] = []
        missing = WINDOW
        for number in range(newest, -1, -1):
            taken = self._ring.read(number)
            if taken is None:
                return None
            blocks.append(taken.sound.mean(axis=0))
            missing -= taken.sound.shape[1]
            if missing <= 0:
                return np.concatenate(blocks[::-1])[-WINDOW:]
        return None


PEAK_S, RMS_S = 0.1, 0.3
"""How much sound a peak and a mean are of: who asks ten times a second misses no peak, and a mean moves like a VU."""


class _Measured(NamedTuple):
    """A block: its frames, highest magnitude, sum of squares, and how many samples of all channels these are of."""

    frames: int
    peak: float
    energy: float
    samples: int


class LevelTap:
    """The level of the newest sound in a ring of blocks. Any thread may call."""

    def __init__(self, ring: BlockRing, status: Status) -> None:
        self._ring, self._status = ring, status
        self._lock = threading.Lock()
        self._number = -1
        self._blocks: deque[_Measured] = deque()

    def level(self) -> Level:
        """Return the peak of the last `PEAK_S` and the mean of the last `RMS_S`; that of silence without a device."""
        with self._lock:
            rate = int(self._status["rate"])
            if not rate:
                return Level()
            self._take(RMS_S * rate)
            return Level(self._newest(PEAK_S * rate).peak_db, self._newest(RMS_S * rate).rms_db)

    def _take(self, longest: float) -> None:
        """Measure the blocks that are new, as far as they are still there, and forget those that are too old."""
        newest = self._ring.newest
        for number in range(max(self._number + 1, newest - self._ring.slots // 2), newest + 1):
            if taken := self._ring.read(number):
                flat = taken.sound.ravel()
                peak, energy = float(np.abs(flat).max(initial=0.0)), float(np.dot(flat, flat))
                self._blocks.append(_Measured(taken.sound.shape[1], peak, energy, flat.size))
        self._number = newest
        kept = sum(block.frames for block in self._blocks)
        while len(self._blocks) > 1 and kept - self._blocks[0].frames >= longest:
            kept -= self._blocks.popleft().frames

    def _newest(self, samples: float) -> Level:
        """Return the level of the newest blocks that hold so many samples, of one block at least."""
        peak = energy = 0.0
        count = 0
        for block in reversed(self._blocks):
            if samples <= 0:
                break
            peak, energy, count = max(peak, block.peak), energy + block.energy, count + block.samples
            samples -= block.frames
        return level_of(peak, energy, count)
