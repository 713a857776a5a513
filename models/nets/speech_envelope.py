"""Spectral envelopes and breath of speech whose pitch is known, measured without a vocoder library.

The envelope is CheapTrick's (Morise 2015): the power in a Hann window of three periods varies little with where the
window lies; smoothed over two thirds of the pitch in frequency, and with the pitch's own quefrency removed from its
logarithm, it says nothing of single harmonics. Breath is the part of the band about 3 kHz that does not repeat from
period to period.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gramophone.models.layers.mel import hz_to_mel
from gramophone.models.units import DEFAULT_HZ, ENVELOPE_FFT, POINTS

LOWEST_HZ = 60.0
"""Pitches below it count as it."""
PERIODS, LIFTER, LEAST_POWER = 3.0, -0.15, 1e-12
"""Periods of a window; the compensation of its smoothing; the least power taken for one."""
_BAND_HZ = (2000.0, 4000.0)
_BREATH_WINDOW = 384
_LAGS = 7
"""Lags about the period that are tried."""
_LEAST_BREATH_DB = -40.0
_SLOPE, _OFFSET_DB = 1.6, -1.9
"""What makes this breath's mean and spread those of D4C's (Morise 2016): a jittering pitch lowers correlation, too."""
_AT_ONCE = 512


def speech_envelopes(sound: Tensor, hz: Tensor, rate: int, hop: int) -> Tensor:
    """Return envelopes and breath `(n, POINTS + 1)` at the middle of each whole hop of a sound `(T,)`.

    `hz` `(n,)` is the pitch there, 0 where nothing is voiced. The points are natural logarithms of power per Hz, up to
    a factor; the last number is the share of noise in the amplitude about 3 kHz in dB, 0 where nothing is voiced.
    """
    middles = torch.arange(len(hz)) * hop + hop // 2
    padded = torch.nn.functional.pad(sound.double(), (ENVELOPE_FFT, ENVELOPE_FFT))
    band = _band_passed(padded, rate)
    pieces = []
    for places, pitch in zip(torch.split(middles, _AT_ONCE), torch.split(hz.double(), _AT_ONCE), strict=True):
        voiced = pitch > 0
        safe = torch.where(voiced, pitch.clamp_min(LOWEST_HZ), torch.full_like(pitch, DEFAULT_HZ))
        frames = padded[places[:, None] + ENVELOPE_FFT + torch.arange(-ENVELOPE_FFT // 2, ENVELOPE_FFT // 2)]
        envelope = _cheap_trick(frames, safe, rate) @ point_weights(rate).to(frames)
        breath = torch.where(voiced, _breath(band, places + ENVELOPE_FFT, safe, rate), torch.zeros_like(safe))
        pieces.append(torch.cat([envelope, breath[:, None]], 1))
    return torch.cat(pieces).float()


def _cheap_trick(frames: Tensor, hz: Tensor, rate: int) -> Tensor:
    """Return log power spectra `(n, bins)` of frames `(n, ENVELOPE_FFT)` less the harmonics of pitch `hz` `(n,)`."""
    times = torch.arange(-ENVELOPE_FFT // 2, ENVELOPE_FFT // 2, dtype=frames.dtype) / rate
    inside = times * (hz[:, None] / (PERIODS / 2))
    window = torch.where(inside.abs() < 1, 0.5 + 0.5 * torch.cos(math.pi * inside), torch.zeros_like(inside))
    window = window / window.square().sum(1, keepdim=True).sqrt()
    heard = frames * window
    heard = heard - window * (heard.sum(1, keepdim=True) / window.sum(1, keepdim=True))
    power = torch.fft.rfft(heard).abs().square()
    power = _without_dip(power, hz, rate)
    smooth = _smoothed(power, hz * (2 / 3), rate)
    cepstrum = torch.fft.irfft(smooth.clamp_min(LEAST_POWER).log())
    quefrency = torch.arange(ENVELOPE_FFT, dtype=frames.dtype)
    quefrency = torch.minimum(quefrency, ENVELOPE_FFT - quefrency) / rate
    turns = hz[:, None] * quefrency
    lifter = torch.sinc(turns) * (1 - 2 * LIFTER + 2 * LIFTER * torch.cos(2 * math.pi * turns))
    lifted: Tensor = torch.fft.rfft(cepstrum * lifter).real
    return lifted


def _without_dip(power: Tensor, hz: Tensor, rate: int) -> Tensor:
    """Return spectra whose lack of power below the fundamental is filled with that above it, mirrored."""
    bins = torch.arange(power.shape[1], dtype=power.dtype)
    place = hz[:, None] * (ENVELOPE_FFT / rate)
    mirrored = _at(power, place - bins)
    return power + torch.where(bins < place, mirrored, torch.zeros_like(mirrored))


def _smoothed(power: Tensor, width: Tensor, rate: int) -> Tensor:
    """Return the mean of spectra `(n, bins)` over `width` Hz `(n,)` around each bin."""
    edge = ENVELOPE_FFT // 4
    mirrored = torch.cat([power[:, 1 : edge + 1].flip(1), power, power[:, -edge - 1 : -1].flip(1)], 1)
    summed = torch.nn.functional.pad(mirrored.cumsum(1), (1, 0))
    half = width[:, None] * (ENVELOPE_FFT / rate / 2)
    bins = torch.arange(power.shape[1], dtype=power.dtype) + edge + 0.5
    return (_at(summed, bins + half) - _at(summed, bins - half)) / (2 * half)


def _at(rows: Tensor, places: Tensor) -> Tensor:
    """Return values of rows `(n, m)` at fractional places, linear between."""
    place = places.clamp(0, rows.shape[1] - 1)
    below = place.floor().clamp_max(rows.shape[1] - 2)
    index = below.long()
    low, high = rows.gather(1, index), rows.gather(1, index + 1)
    return low + (high - low) * (place - below)


def point_weights(rate: int) -> Tensor:
    """Return what reads a spectrum at the points, each as the mean of the bins around it, `(bins, POINTS)`."""
    mel = hz_to_mel(torch.linspace(0, rate / 2, ENVELOPE_FFT // 2 + 1, dtype=torch.float64))
    hats = (1 - (mel[:, None] / mel[-1] * (POINTS - 1) - torch.arange(POINTS)).abs()).clamp_min(0)
    weights: Tensor = hats / hats.sum(0)
    return weights


def _band_passed(sound: Tensor, rate: int) -> Tensor:
    """Return the band about 3 kHz of a sound `(T,)`."""
    spectrum = torch.fft.rfft(sound)
    hz = torch.linspace(0, rate / 2, len(spectrum), dtype=torch.float64)
    low, high = _BAND_HZ
    place = ((hz - low) / (high - low)).clamp(0, 1)
    passed: Tensor = torch.fft.irfft(spectrum * torch.sin(math.pi * place).square(), len(sound))
    return passed


def _breath(band: Tensor, places: Tensor, hz: Tensor, rate: int) -> Tensor:
    """Return the share of noise in the amplitude of a band around places, in dB, by its correlation a period later."""
    period = rate / hz
    offsets = torch.arange(_BREATH_WINDOW) - _BREATH_WINDOW // 2
    tried = period[:, None] * (1 + 0.02 * (torch.arange(_LAGS) - _LAGS // 2) / (_LAGS // 2))
    best = torch.zeros_like(period)
    for lag in tried.unbind(1):
        here, later = (_read(band, places[:, None] + offsets + shift[:, None]) for shift in (-lag / 2, lag / 2))
        product = (here * later).sum(1)
        power = (here.square().sum(1) * later.square().sum(1)).sqrt().clamp_min(1e-12)
        best = torch.maximum(best, product / power)
    return (_SLOPE * 10 * (1 - best).clamp_min(1e-9).log10() + _OFFSET_DB).clamp(_LEAST_BREATH_DB, 0)


def _read(sound: Tensor, places: Tensor) -> Tensor:
    """Return a sound at fractional places, linear between."""
    place = places.clamp(0, len(sound) - 2)
    below = place.floor()
    index = below.long()
    return torch.lerp(sound[index], sound[index + 1], place - below)
