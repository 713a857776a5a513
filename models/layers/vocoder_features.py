"""Conditioning of a vocoder: log-mel frames, and pitch channels."""

from __future__ import annotations

import torch
from torch import Tensor

from gramophone.models.layers.mel import MelBands
from gramophone.models.layers.stft import STFT
from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.units import LOG_MEL_CENTRE, LOG_MEL_SCALE

_MIDDLE_HZ = 160.0


class LogMel(Streaming):
    """Sound as log power in mel bands: `(B, 1, T)` -> `(B, bands, T / hop)`.

    A frame's window of `window` samples ends with its hop; `delay` is the distance in frames to the window's centre.

    Raises:
        ValueError: the window is no even number of hops.
    """

    def __init__(self, rate: int, hop: int, bands: int = 40, window: int = 0) -> None:
        super().__init__()
        window = window or 4 * hop
        if hop < 1 or window % (2 * hop):
            raise ValueError(f"window {window}, hop {hop}: expected an even number of hops")
        self.hop = hop
        self.delay = window // (2 * hop)
        self.spectra = STFT(torch.hann_window(window), hop)
        self.mel = MelBands(rate, window, bands, floor=1e-7)

    def initial_state(self, x: Tensor) -> State:
        """Silence before."""
        return self.spectra.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the bands of the frames that end within one chunk."""
        spectra, state = self.spectra.step(x, state)
        return ((self.mel(spectra[:, 0]) - LOG_MEL_CENTRE) / LOG_MEL_SCALE).transpose(1, 2), state


def aligned_log_mel(extractor: LogMel, sound: Tensor) -> Tensor:
    """Return `(B, bands, T / hop)` frames for a whole sound `(B, 1, T)`, aligned with it: the delay taken out."""
    late = torch.nn.functional.pad(sound, (0, extractor.delay * extractor.hop))
    frames: Tensor = extractor(late)[0]
    return frames[:, :, extractor.delay :]


def pitch_channels(hz: Tensor) -> Tensor:
    """Return pitch as conditioning: `(B, n)` in Hz, 0 where unvoiced -> `(B, 2, n)`, octaves and whether voiced."""
    voiced = hz > 0
    octaves = torch.where(voiced, (hz.clamp_min(1) / _MIDDLE_HZ).log2(), 0)
    return torch.stack([octaves, voiced.to(octaves)], 1)
