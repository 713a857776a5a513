"""What a clip is good for, measured: too short, too soft, clipped, or with noise or music beneath it, in words.

A single voice pauses for breath: its softest moments are far below its loudest. Where they are not, something else is
there, and its spectrum says what: in each narrow band of a noise all frequencies are alike, in one of music a few stand
out (spectral flatness, Johnston 1988, here in bands, so that a noise may have any colour).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.stage import Audio

_FRAME_S = 0.04
_BAND_BINS = 16
_LOW_HZ, _HIGH_HZ = 150.0, 7000.0
_SOUNDING_DB, _SILENT_DB, _SOFT_DB = -40.0, -60.0, -30.0
_BREATH_DB = 20.0
_FLAT = 0.55
"""Noise of any colour has a flatness of about 0.6 in bands of 16 frequencies, a choir one of 0.45, an organ 0.12."""
_SHORTEST_STYLE_S, _SHORTEST_SPEAKER_S = 3.0, 5.0
_CLIPPED_SHARE = 1e-4
_FLAT_TOP = 3
"""So many samples in a row at the very top are no wave's peak."""
_EMPTY = 1e-12


@dataclass(frozen=True)
class ClipQuality:
    """`peak_db` and `gap_db`, from softest to loudest twentieth, in dB; `sounding_s` seconds of sound, pauses left out.

    `clipped`: share of the samples that stand in flat tops; `flatness` of the softest fifth, 0 a tone to 1 a noise.
    """

    peak_db: float
    gap_db: float
    sounding_s: float
    clipped: float
    flatness: float

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to learn from."""
        return self.peak_db < _SILENT_DB

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be known before it is used, a sentence each; empty for a good clip."""
        found = []
        if self.sounding_s < _SHORTEST_STYLE_S:
            found.append(f"too short: {self.sounding_s:.1f} s of sound; 3 s or more make a style, 5 to 30 s a speaker")
        elif self.sounding_s < _SHORTEST_SPEAKER_S:
            found.append(f"short for a speaker: {self.sounding_s:.1f} s of sound; expected 5 to 30 s")
        if self.peak_db < _SOFT_DB:
            found.append(f"very soft: its peak is {self.peak_db:.0f} dB; noise of the room is learned with it")
        if self.clipped > _CLIPPED_SHARE:
            found.append(f"clipped: {self.clipped:.2%} of it stands in flat tops; record it with less gain")
        if self.gap_db < _BREATH_DB:
            what = "noise" if self.flatness > _FLAT else "music or another sound"
            found.append(
                f"{what} beneath it, {self.gap_db:.0f} dB below its loudest: good for a style, but not for a speaker"
            )
        return tuple(found)


def clip_quality(sound: Audio, rate: int) -> ClipQuality:
    """Measure a clip, `(channels, frames)` at `rate` Hz."""
    mono = np.asarray(sound.mean(axis=0), np.float64)
    size = max(int(_FRAME_S * rate), _BAND_BINS)
    frames = mono[: len(mono) // size * size].reshape(-1, size) if len(mono) >= size else np.resize(mono, (1, size))
    powers = np.square(frames).mean(axis=1)
    peak = float(np.abs(sound).max(initial=0.0))
    softest, loudest = 10 * np.log10(np.quantile(powers, [0.05, 0.95]) + _EMPTY)
    sounding = powers > powers.max() * 10 ** (_SOUNDING_DB / 10)
    return ClipQuality(
        peak_db=float(20 * np.log10(peak + _EMPTY)),
        gap_db=float(loudest - softest),
        sounding_s=float(sounding.sum() * size / rate) if peak else 0.0,
        clipped=_clipped_share(sound, peak),
        flatness=_flatness(frames[np.argsort(powers)[: max(len(powers) // 5, 1)]], rate),
    )


def _clipped_share(sound: Audio, peak: float) -> float:
    """Return the share of samples that stand in runs of three or more at the top, on either side."""
    share = 0.0
    for side in (sound, -sound):
        top = side >= max(0.999 * peak, _EMPTY)
        run = top[:, _FLAT_TOP - 1 :].copy()
        for back in range(1, _FLAT_TOP):
            run &= top[:, _FLAT_TOP - 1 - back : top.shape[1] - back]
        starts = run & ~np.pad(run, ((0, 0), (1, 0)))[:, :-1]
        share += (run.sum() + (_FLAT_TOP - 1) * starts.sum()) / max(sound.size, 1)
    return float(share)


def _flatness(frames: NDArray[np.float64], rate: int) -> float:
    """Return the mean flatness of bands of the frames' spectra, `(n, samples)`."""
    spectra = np.square(np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), axis=1))) + _EMPTY**2
    first, last = (int(hz * frames.shape[1] / rate) for hz in (_LOW_HZ, min(_HIGH_HZ, rate / 2)))
    bands = (last - first) // _BAND_BINS
    if bands < 1:
        return 0.0
    banded = spectra[:, first : first + bands * _BAND_BINS].reshape(len(spectra), bands, _BAND_BINS)
    return float(np.mean(np.exp(np.log(banded).mean(axis=2)) / banded.mean(axis=2)))
