"""The encoder side shared by all latent models: hop by hop for the input, at once for a reference clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import torch

from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.style.style import GATE, TINY
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.executor import make
from gramophone.realtime.stages.latent.codec import Frame, Series
from gramophone.realtime.stages.latent.loudness_match import power_meter

_AT_ONCE = 1024
"""Hops of a clip encoded at a time."""


def audible(power: float | Floats, peak: float) -> bool | np.ndarray:
    """Return whether the power of a frame (or of each frame) is above the pause gate, relative to a `peak` power."""
    return power > max(peak * GATE, TINY)


class FrameEncoder:
    """Sound to frames. `delay_hops` is the encoder's look-ahead: its latents are late by so many hops.

    `encoder`, `(B, 1, T)` to means and log scales `(B, 2 * latents, T / hop)`, encodes whole clips; `encode_hop`
    computes the same means live, `(hop,)` to `(latents,)`, as fast as possible. The latents of a frame are the means,
    and its power is delayed like them, so that both describe the same hop.
    """

    def __init__(
        self, encoder: Streaming, encode_hop: Callable[[Floats], Floats], hop: int, delay_hops: int, latents: int
    ) -> None:
        self._encoder, self._encode_hop = encoder, encode_hop
        self._hop, self._delay_hops, self._latents = hop, delay_hops, latents
        self._powers = deque([0.0] * delay_hops)
        self._power_of = power_meter()

    def frame(self, sound: Floats) -> Frame:
        """Return the frame of the next hop of sound, `(hop,)`."""
        self._powers.append(self._power_of(sound))
        return Frame(self._encode_hop(sound), self._powers.popleft())

    @torch.inference_mode()
    def encode_clip(self, sound: Floats) -> Series:
        """Return the frames of a whole sound `(T,)` without delay; the last hop is padded with silence."""
        sound = np.pad(sound, (0, -len(sound) % self._hop))
        padded = torch.from_numpy(np.pad(sound, (0, self._delay_hops * self._hop)))[None, None]
        state: State | None = None
        pieces = []
        for chunk in torch.split(padded, _AT_ONCE * self._hop, 2):
            numbers, state = self._encoder(chunk, state)
            pieces.append(numbers[0, : self._latents].t())
        latents: Floats = torch.cat(pieces)[self._delay_hops :].numpy()
        powers: Floats = np.square(sound.reshape(-1, self._hop)).mean(axis=1)
        return Series(latents, powers)


def executor_encoder(
    features: Streaming, network: Streaming, hop: int, latents: int, device: str
) -> Callable[[Floats], Floats]:
    """Return a function that encodes one hop, `(hop,)` to means `(latents,)`, by an encoder split in two.

    `features`, `(B, 1, T)` to spectra, runs in torch, as ONNX has no Fourier transform; `network`, spectra to means and
    log scales, runs by the fastest executor for the device.
    """
    spectra = make(features, channels=1, block=hop, device="cpu", kind="eager")
    _, bands, frames = spectra(np.zeros((1, 1, hop), np.float32)).shape
    spectra.reset()
    encode_network = make(network, channels=bands, block=frames, device=device)

    def encode(sound: Floats) -> Floats:
        means: Floats = encode_network(spectra(sound[None, None]))[0, :latents, 0]
        return means

    return encode
