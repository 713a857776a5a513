"""Spectra of a live session for people's eyes: levels in bands that are equal intervals wide, as bytes.

They are computed from shared memory by whoever looks at them, and the audio thread does nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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
