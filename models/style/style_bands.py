"""The bands in which styles are measured, and the analysis of recordings in them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gramophone.models.layers.mel import MelBands
from gramophone.models.layers.stft import STFT, OverlapAdd, low_delay_windows
from gramophone.models.layers.streaming import State
from gramophone.models.style.gaussian import moments
from gramophone.models.style.speech_detector import BANDS, RANGE_HZ
from gramophone.models.style.style import FLOOR, GATE, TINY, Style, StyleGrid

_SYNTHESIS_S = 1024 / 48_000
_HOPS = 4
_ANALYSIS = 2
"""The analysis window in synthesis windows: it reaches further into the past, so it costs no latency."""
_NOISE_S = 3.0


class StyleBands(nn.Module):
    """The analysis and synthesis that styles are defined in: windows, mel bands `(B,)`, noise to fill in with.

    `grid` is what is needed of it to compare styles and to update them.

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
        twice = flatness[: math.ceil(rate / self.hop)]
        self.register_buffer("noise_flatness", torch.cat([flatness, twice]).mean(0))
        self.grid = StyleGrid(rate, bands, self.hop, self.noise_flatness.numpy())

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
        return Style(moments(frames).gaussian(), flatness.mean(0).numpy())

    def flatness(self, power: Tensor, bands: Tensor) -> Tensor:
        """Return geometric over arithmetic mean by band, 1 flat, 0 a line: powers `(n, F)`, bands `(n, B)`."""
        return ((power + TINY).log() @ self.weights).exp() / (bands + TINY)

    def _make_noise(self) -> Tensor:
        """Return spectra of a loop of white noise, complex `(N, F)`, mean power 1."""
        count = round(_NOISE_S * self.rate / self.hop)
        loop = torch.randn(count * self.hop, generator=torch.Generator().manual_seed(0))
        spectra, _ = self.stft(torch.cat([loop[-self.window :], loop])[None, None])
        frames: Tensor = spectra[0, 0, -count:]
        return frames / frames.abs().square().mean().sqrt()


def powers(spectra: Tensor) -> Tensor:
    """Return powers `(C, n, F)` of spectra `(1, C, n, F)`."""
    return (spectra[0] * spectra[0].conj()).real
