"""Styles: statistics of a recording's log spectra, and the bands in which they are measured.

A frame is the log power in mel bands relative to the sound's own level. A style is the Gaussian of a recording's
frames, and how noise-like the recording is in each band. `gramophone.models.style_control` moves a sound there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gramophone.models.layers.mel import MelBands
from gramophone.models.layers.stft import STFT, OverlapAdd, low_delay_windows
from gramophone.models.layers.streaming import State
from gramophone.models.style.gaussian import Gaussian, Moments, moments
from gramophone.models.style.speech_detector import BANDS, RANGE_HZ
from gramophone.models.style.transport import blend

FLOOR = 10 ** (-40 / 10)
"""Power relative to the level; quieter bands are taken for this quiet."""
GATE = 10 ** (-55 / 10)
"""Power relative to the peak; quieter frames are pauses and teach nothing."""
TINY = 1e-12
"""Power of what counts as silence."""

_SYNTHESIS_S = 1024 / 48_000
_HOPS = 4
_ANALYSIS = 2
"""The analysis window in synthesis windows: it reaches further into the past, so it costs no latency."""
_NOISE_S = 3.0
_TONAL = (0.45, 0.75)
"""Flatness, relative to that of noise, up to which a band is a tone, and from which it is noise."""


@dataclass(frozen=True)
class Style:
    """The style of a recording: the Gaussian of its frames in dB, and its spectral flatness by band `(B,)`, 0 to 1."""

    gaussian: Gaussian
    flatness: Tensor


def blended(a: Style, b: Style, position: float) -> Style:
    """Return the style at `position` (0 is `a`, 1 is `b`) between two: on the geodesic of their Gaussians."""
    return Style(blend(a.gaussian, b.gaussian, position), torch.lerp(a.flatness, b.flatness, position))


class StyleBands(nn.Module):
    """The analysis and synthesis that styles are defined in: windows, mel bands `(B,)`, noise to fill in with.

    `analysis` `(F, B + 17)` sums powers of bins to bands, bands of the speech detector, and their total; `weights`
    `(F, B)` to bands alone; `hats` `(B, F)` spreads values of bands over bins. Rate in Hz.

    Raises:
        ValueError: the range in Hz is empty below half the rate.
    """

    analysis: Tensor
    weights: Tensor
    hats: Tensor
    noise: Tensor
    noise_flatness: Tensor

    def __init__(self, rate: int, bands: int, low: float, high: float) -> None:
        super().__init__()
        self.rate = rate
        self.bands = bands
        self.hop = max(round(_SYNTHESIS_S * rate / _HOPS), 4)
        synthesis = _HOPS * self.hop
        self.window = _ANALYSIS * synthesis
        self.bins = self.window // 2 + 1
        analysis_window, synthesis_window = low_delay_windows(self.window, synthesis, self.hop)
        self.stft = STFT(analysis_window, self.hop)
        self.overlap_add = OverlapAdd(synthesis_window, self.hop, self.window)
        nyquist = 0.49 * rate
        mel = MelBands(rate, self.window, bands, low, min(high, nyquist), hold=False)
        guard = MelBands(rate, self.window, BANDS, RANGE_HZ[0], min(RANGE_HZ[1], nyquist))
        total = torch.full((1, self.bins), 1 / self.bins)
        self.register_buffer("analysis", torch.cat([mel.weights, guard.weights, total]).t().contiguous())
        self.register_buffer("weights", mel.weights.t().contiguous())
        self.register_buffer("hats", mel.hats)
        self.register_buffer("noise", self._make_noise())
        power = self.noise.abs().square()
        flatness = self.flatness(power, power @ self.weights)
        # The first second counts twice, as it did when judges chose the constants of the gains.
        twice = flatness[: math.ceil(self.frames(1.0))]
        self.register_buffer("noise_flatness", torch.cat([flatness, twice]).mean(0))

    def frames(self, seconds: float) -> float:
        """Return how many frames, a fraction perhaps, make `seconds`."""
        return seconds * self.rate / self.hop

    def learn(self, sound: Tensor) -> Style | None:
        """Return the style of a recording `(C, T)` at this rate; None for one that is silent throughout."""
        padded = torch.nn.functional.pad(sound, (0, self.window + -sound.shape[1] % self.hop))
        state: State | None = None
        pieces = []
        for chunk in torch.split(padded[None], 128 * self.hop, 2):
            spectra, state = self.stft(chunk, state)
            power = powers(spectra).mean(0)
            sums = power @ self.analysis
            bands = sums[:, : self.bands]
            pieces.append(torch.cat([bands, self.flatness(power, bands), sums[:, -1:]], 1).double())
        known = torch.cat(pieces)
        totals = known[:, -1]
        loud = totals > max(float(totals.max()) * GATE, TINY)
        if not loud.any():
            return None
        bands, flatness, _ = torch.split(known[loud], [self.bands, self.bands, 1], 1)
        frames = 10 * (bands / totals[loud].mean() + FLOOR).log10()
        learnt: Moments = moments(frames)
        return Style(learnt.gaussian(), flatness.mean(0))

    def flatness(self, power: Tensor, bands: Tensor) -> Tensor:
        """Return geometric over arithmetic mean by band, 1 flat, 0 a line: powers `(n, F)`, bands `(n, B)`."""
        return ((power + TINY).log() @ self.weights).exp() / (bands + TINY)

    def noise_like(self, style: Style) -> Tensor:
        """Return how noise-like a style is by band, `(B,)` from 0 (tonal) to 1, smoothed over neighbours."""
        tone, noise = _TONAL
        likeness = ((style.flatness / self.noise_flatness - tone) / (noise - tone)).clamp(0, 1)
        index = torch.arange(self.bands, dtype=torch.float64)
        blur = (-0.5 * ((index[:, None] - index) / 2).square()).exp()
        return (blur / blur.sum(1, keepdim=True)) @ likeness

    def _make_noise(self) -> Tensor:
        """Return spectra of a loop of white noise, complex `(N, F)`, mean power 1."""
        count = round(self.frames(_NOISE_S))
        loop = torch.randn(count * self.hop, generator=torch.Generator().manual_seed(0))
        spectra, _ = self.stft(torch.cat([loop[-self.window :], loop])[None, None])
        frames: Tensor = spectra[0, 0, -count:]
        return frames / frames.abs().square().mean().sqrt()


def powers(spectra: Tensor) -> Tensor:
    """Return powers `(C, n, F)` of spectra `(1, C, n, F)`."""
    return (spectra[0] * spectra[0].conj()).real
