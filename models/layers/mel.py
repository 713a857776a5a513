"""Mel bands: what is in them, and gains per band turned into gains per bin.

The scale and the filters are Slaney's (Auditory Toolbox, 1998), as in `librosa.filters.mel`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_LINEAR_HZ_PER_MEL = 200 / 3
_LOG_FROM_HZ = 1000.0
_LOG_FROM_MEL = _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27


def hz_to_mel(hz: Tensor) -> Tensor:
    """Return Slaney mels: linear up to 1 kHz, logarithmic above."""
    above = _LOG_FROM_MEL + (hz.clamp_min(_LOG_FROM_HZ) / _LOG_FROM_HZ).log() / _LOG_STEP
    return torch.where(hz < _LOG_FROM_HZ, hz / _LINEAR_HZ_PER_MEL, above)


def mel_to_hz(mel: Tensor) -> Tensor:
    """Return the frequency in Hz; the inverse of `hz_to_mel`."""
    above = _LOG_FROM_HZ * ((mel.clamp_min(_LOG_FROM_MEL) - _LOG_FROM_MEL) * _LOG_STEP).exp()
    return torch.where(mel < _LOG_FROM_MEL, mel * _LINEAR_HZ_PER_MEL, above)


def mel_edges(bands: int, low: float, high: float) -> Tensor:
    """Return the `(bands + 2,)` corners in Hz of bands spread evenly in mel from `low` to `high` Hz.

    Band `i` rises from edge `i`, peaks at edge `i + 1` and falls to edge `i + 2`.

    Raises:
        ValueError: no bands, or a range that is empty or below zero.
    """
    if bands < 1 or not 0 <= low < high:
        raise ValueError(f"{bands} bands from {low} to {high} Hz: expected at least one and a rising range from 0 up")
    low_mel, high_mel = hz_to_mel(torch.tensor([low, high], dtype=torch.float64)).tolist()
    return mel_to_hz(torch.linspace(low_mel, high_mel, bands + 2, dtype=torch.float64))


def mel_filters(rate: float, fft: int, bands: int, low: float = 0.0, high: float | None = None) -> Tensor:
    """Return triangles of unit area, `(bands, fft // 2 + 1)` in float64; `high` None is half the rate.

    A band narrower than a bin may see no bin at all and be zero.

    Raises:
        ValueError: as `mel_edges`.
    """
    edges = mel_edges(bands, low, rate / 2 if high is None else high)[:, None]
    bins = _bin_hz(rate, fft)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp_min(0) * 2 / (edges[2:] - edges[:-2])


class MelBands(nn.Module):
    """The way from spectra to bands and back: log power per band, and values per band spread over the bins.

    Bands follow `mel_edges`; `high` None is half the rate. A band's power is the mean over its bins, weighted
    by its filter; one too narrow to hold a bin reads between its neighbours, so that any number of bands
    works. `floor` is the least power told apart. With `hold`, the outermost bands' values reach on to 0 Hz
    and to half the rate; without, they fade to zero at `low` and `high`.

    Raises:
        ValueError: as `mel_edges`, or the floor is not above zero.
    """

    weights: Tensor
    hats: Tensor

    def __init__(
        self,
        rate: float,
        fft: int,
        bands: int,
        low: float = 0.0,
        high: float | None = None,
        floor: float = 1e-10,
        hold: bool = True,
    ) -> None:
        super().__init__()
        if floor <= 0:
            raise ValueError(f"floor {floor}: expected above zero")
        self.floor = floor
        high = rate / 2 if high is None else high
        filters = mel_filters(rate, fft, bands, low, high)
        mel = hz_to_mel(mel_edges(bands, low, high))
        bins = hz_to_mel(_bin_hz(rate, fft))
        # On the mel scale the edges are even, so every band's hat has the same slopes.
        hats = (1 - (bins - mel[1:-1, None]).abs() / mel.diff()[0]).clamp_min(0)
        if hold:
            hats[0, bins <= mel[1]] = 1
            hats[-1, bins >= mel[-2]] = 1
        area = filters.sum(1, keepdim=True)
        weights = torch.where(area > 0, filters / area.clamp_min(1e-30), _between_bins(rate, fft, mel_to_hz(mel[1:-1])))
        self.register_buffer("weights", weights.float(), persistent=False)
        self.register_buffer("hats", hats.float(), persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Natural log of the power per band: complex `(..., fft // 2 + 1)` -> `(..., bands)`."""
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.weights.t()).clamp_min(self.floor).log()

    def spread(self, values: Tensor) -> Tensor:
        """Values per bin, linear in mel between the bands' centres: `(..., bands)` -> `(..., fft // 2 + 1)`.

        Gains are best spread as logarithms, so that a bin between 0 and 40 dB lands at 20.
        """
        return values @ self.hats


def _bin_hz(rate: float, fft: int) -> Tensor:
    return torch.arange(fft // 2 + 1, dtype=torch.float64) * rate / fft


def _between_bins(rate: float, fft: int, hz: Tensor) -> Tensor:
    """Return weights `(len(hz), fft // 2 + 1)` that read a spectrum at each frequency, between its bins."""
    position = (hz * fft / rate)[:, None]
    return (1 - (torch.arange(fft // 2 + 1, dtype=torch.float64) - position).abs()).clamp_min(0)
