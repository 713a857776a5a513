"""The half that all latent models share: a causal encoder, hop by hop live, a whole clip at once to learn from it."""

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

_AT_ONCE = 1024
"""Hops of a clip in memory at a time."""


def audible(power: float | Floats, peak: float) -> bool | np.ndarray:
    """Return whether a frame is no pause beside a peak: pauses say nothing of a style."""
    return power > max(peak * GATE, TINY)


class FrameEncoder:
    """Sound to frames by an encoder, which is `late` hops late.

    The `encoder`, `(B, 1, T)` to means and log scales `(B, 2 * latents, T / hop)`, is what clips are learnt by; `hear`
    does the same live, and as quick as can be: a hop `(hop,)` to the means, `(latents,)`. A frame's latents are the
    means, and its power is that of the hop that they speak of.
    """

    def __init__(self, encoder: Streaming, hear: Callable[[Floats], Floats], hop: int, late: int, latents: int) -> None:
        self._encoder, self._hear = encoder, hear
        self._hop, self._late, self._latents = hop, late, latents
        self._powers = deque([0.0] * late)

    def frame(self, sound: Floats) -> Frame:
        """Return the next frame, for the next hop of sound."""
        self._powers.append(float(sound @ sound) / len(sound))
        return Frame(self._hear(sound), self._powers.popleft())

    @torch.inference_mode()
    def learn(self, sound: Floats) -> Series:
        """Return the frames of a whole sound `(T,)`, the last hop filled up with silence; the delay is taken out."""
        sound = np.pad(sound, (0, -len(sound) % self._hop))
        late = torch.from_numpy(np.pad(sound, (0, self._late * self._hop)))[None, None]
        state: State | None = None
        pieces = []
        for chunk in torch.split(late, _AT_ONCE * self._hop, 2):
            numbers, state = self._encoder(chunk, state)
            pieces.append(numbers[0, : self._latents].t())
        latents: Floats = torch.cat(pieces)[self._late :].numpy()
        powers: Floats = np.square(sound.reshape(-1, self._hop)).mean(axis=1)
        return Series(latents, powers)


def by_executors(ear: Streaming, network: Streaming, hop: int, latents: int, device: str) -> Callable[[Floats], Floats]:
    """Return what hears a hop by an encoder in two halves.

    The `ear`, `(B, 1, T)` to spectra, is torch, for ONNX has no Fourier transform to offer; the `network` behind it,
    which gives means and log scales, is whatever is the quickest.
    """
    spectra = make(ear, channels=1, block=hop, device="cpu", kind="eager")
    _, bands, frames = spectra(np.zeros((1, 1, hop), np.float32)).shape
    spectra.reset()
    encode = make(network, channels=bands, block=frames, device=device)

    def hear(sound: Floats) -> Floats:
        means: Floats = encode(spectra(sound[None, None]))[0, :latents, 0]
        return means

    return hear
