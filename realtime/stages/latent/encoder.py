"""The encoder side shared by all latent models: hop by hop for the input, at once for a reference clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gramophone.models.style.style import GATE, TINY
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.codec import Frame, Series
from gramophone.realtime.stages.latent.loudness_match import power_meter

if TYPE_CHECKING:
    from gramophone.models.layers.streaming import State, Streaming

_AT_ONCE = 1024
"""Hops of a clip encoded at a time."""


def audible(power: float | Floats, peak: float) -> bool | np.ndarray:
    """Return whether the power of a frame (or of each frame) is above the pause gate, relative to a `peak` power."""
    return power > max(peak * GATE, TINY)


class FrameEncoder:
    """Sound to frames. `delay_hops` is the encoder's look-ahead: its latents are late by so many hops.

    `encode_hop` computes the means of the latents, `(hop,)` to `(latents,)`. A frame's power is delayed like them, so
    that both describe the same hop.
    """

    def __init__(self, encode_hop: Callable[[Floats], Floats], delay_hops: int) -> None:
        self._encode_hop = encode_hop
        self._powers = deque([0.0] * delay_hops)
        self._power_of = power_meter()

    def frame(self, sound: Floats) -> Frame:
        """Return the frame of the next hop of sound, `(hop,)`."""
        self._powers.append(self._power_of(sound))
        return Frame(self._encode_hop(sound), self._powers.popleft())


def encode_clip(encoder: Streaming, sound: Floats, hop: int, latents: int) -> Series:
    """Return the frames of a whole sound `(T,)` without delay; the last hop is padded with silence.

    `encoder` maps `(B, 1, T)` to means and log scales `(B, 2 * latents, T / hop)`, late by its `delay` in frames.
    """
    import torch

    sound = np.pad(sound, (0, -len(sound) % hop))
    padded = torch.from_numpy(np.pad(sound, (0, encoder.delay * hop)))[None, None]
    state: State | None = None
    pieces = []
    with torch.inference_mode():
        for chunk in torch.split(padded, _AT_ONCE * hop, 2):
            numbers, state = encoder(chunk, state)
            pieces.append(numbers[0, :latents].t())
        found: Floats = torch.cat(pieces)[encoder.delay :].numpy()
    powers: Floats = np.square(sound.reshape(-1, hop)).mean(axis=1)
    return Series(found, powers)


def executor_encoder(
    features: Streaming, network: Streaming, hop: int, latents: int, device: str
) -> Callable[[Floats], Floats]:
    """Return a function that encodes one hop, `(hop,)` to means `(latents,)`, by an encoder split in two.

    `features`, `(B, 1, T)` to spectra, runs in torch, as ONNX has no Fourier transform; `network`, spectra to means and
    log scales, runs by the fastest executor for the device.
    """
    from gramophone.realtime.kernels.executor import make

    spectra = make(features, channels=1, block=hop, device="cpu", kind="eager")
    _, bands, frames = spectra(np.zeros((1, 1, hop), np.float32)).shape
    spectra.reset()
    encode_network = make(network, channels=bands, block=frames, device=device)

    def encode(sound: Floats) -> Floats:
        means: Floats = encode_network(spectra(sound[None, None]))[0, :latents, 0]
        return means

    return encode
