"""How far the style of a sound is from a reference: Gaussians of log-mel frames in several views.

Loudness does not count. All views are in dB: the distance is by how many dB a typical feature differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.layers.mel import MelBands
from gramophone.models.style.gaussian import Doubles, Gaussian, moments
from gramophone.models.style.transport import DistanceTo, process_distance
from gramophone.offline.data.mono_audio import Sound, levelled

_FLOOR = 1e-9
"""The least power that counts in a band of a sound at -20 dBFS: 70 dB below it."""

_LOWEST_HZ = 20.0
_MODULATION_S = 2.0
"""The window of a modulation spectrum: echoes up to this far apart are seen as such."""


@dataclass(frozen=True)
class SpectralView:
    """A view of a sound: `bands` over `window_ms`, each `hop_ms`, averaged over `pool`, stacked over `lags`."""

    window_ms: float
    hop_ms: float
    bands: int
    pool: int = 1
    lags: tuple[int, ...] = (0,)


VIEWS = {
    "tone": SpectralView(128, 32, 80),
    "texture": SpectralView(32, 8, 20, lags=(0, 1, 4)),
    "swell": SpectralView(32, 8, 10, pool=16, lags=(0, 1, 2, 4)),
}
"""Fine bands; how neighbouring frames hang together; how the level moves from syllable to syllable."""

MODULATION = "modulation"
_MODULATION = SpectralView(32, 8, 10, pool=2)


class ReferenceStyle:
    """The style of a reference, mono `(frames,)` at `rate` Hz; gives the distance of other sounds to it."""

    def __init__(self, reference: Sound, rate: int) -> None:
        self.rate = rate
        hear = _listen(reference, rate)
        self._targets = {name: DistanceTo(_gaussian(hear(view), view)) for name, view in VIEWS.items()}
        self._modulation = _modulation(hear(_MODULATION))

    def distances(self, sound: Sound) -> dict[str, float]:
        """Return by how many dB a feature differs, root mean square, in each view of mono `sound`."""
        hear = _listen(sound, self.rate)
        squares = {
            name: self._targets[name](_gaussian(hear(view), view)) / (view.bands * len(view.lags))
            for name, view in VIEWS.items()
        }
        squares[MODULATION] = process_distance(_modulation(hear(_MODULATION)), self._modulation)
        return {name: square**0.5 for name, square in squares.items()}

    def __call__(self, sound: Sound) -> float:
        """Return the distance in dB: the root mean square over the views."""
        return overall(self.distances(sound))


def overall(distances: Mapping[str, float]) -> float:
    """Return the root mean square of the distances of all views."""
    return float((sum(distance**2 for distance in distances.values()) / len(distances)) ** 0.5)


def _listen(sound: Sound, rate: int) -> Callable[[SpectralView], Tensor]:
    """Return what gives a view's levels in dB, `(frames, bands)`; views of one window share their spectra."""
    samples = torch.from_numpy(levelled(sound))

    @cache
    def spectra(window: int, hop: int) -> Tensor:
        around = F.pad(samples, (window // 2, window // 2))
        spectrum = torch.view_as_real(torch.fft.rfft(around.unfold(0, window, hop) * _hann(window)))
        return spectrum.square().sum(2)

    def hear(view: SpectralView) -> Tensor:
        window, hop = (round(ms * rate / 1000) for ms in (view.window_ms, view.hop_ms))
        power = spectra(window, hop) @ _weights(window, rate, view.bands)
        if view.pool > 1:
            power = power[: len(power) // view.pool * view.pool].reshape(-1, view.pool, view.bands).mean(1)
        return 10 * (power + _FLOOR).log10().double()

    return hear


def _gaussian(levels: Tensor, view: SpectralView) -> Gaussian:
    reach = max(view.lags)
    return moments(torch.cat([levels[reach - lag : len(levels) - lag] for lag in view.lags], 1)).gaussian()


def _modulation(levels: Tensor) -> Doubles:
    """Return the power spectra `(bands, F)` of the bands' levels over time (Welch 1967)."""
    size = round(_MODULATION_S * 1000 / (_MODULATION.hop_ms * _MODULATION.pool))
    padded = F.pad((levels - levels.mean(0)).t(), (0, max(size - len(levels), 0)))
    pieces = padded.unfold(1, size, size // 4)
    window = torch.hann_window(size, dtype=levels.dtype)
    spectra: Tensor = torch.fft.rfft((pieces - pieces.mean(2, keepdim=True)) * window).abs().square()
    found: Doubles = (spectra.mean(1) / window.square().sum()).numpy()
    return found


@cache
def _hann(window: int) -> Tensor:
    """Return a Hann window under which the bins' powers add up to the sound's mean square, but for a factor of two."""
    hann = torch.hann_window(window)
    return hann / (hann.square().sum() * window).sqrt()


@cache
def _weights(window: int, rate: int, bands: int) -> Tensor:
    weights: Tensor = MelBands(rate, window, bands, low=_LOWEST_HZ).weights
    return weights.t().contiguous()
