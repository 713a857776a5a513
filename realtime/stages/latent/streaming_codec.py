"""Latent models that other packages bring, as codecs: a streaming encoder and a streaming decoder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from gramophone.models.layers.streaming import Streaming
from gramophone.models.parameters import Value
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.executor import Executor, ExecutorError, make
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.codec import Frame, LatentModel, Series
from gramophone.realtime.stages.latent.encoder import FrameEncoder, encode_clip


class PackageModel(Protocol):
    """What a latent model of another package has: its shape, with `rate`, `hop` and `latents`, and two networks.

    `encoder` maps sound `(B, 1, T)` to latents `(B, latents, T / hop)`, of which further channels are left out;
    `decoder` maps them back to sound `(B, 1, T)`.
    """

    shape: Any
    encoder: Streaming
    decoder: Streaming


class StreamingCodec:
    """Encoder and decoder run by the fastest executors for the device.

    Raises:
        StageError: encoder and decoder are not those of one hop.
    """

    deferral_s = 0.0

    def __init__(self, source: LatentModel, device: str) -> None:
        model: PackageModel = source.network()
        self.rate, self.hop = source.card.rate, source.card.hop
        latents = model.shape.latents
        encoder, decoder = model.encoder, model.decoder
        self.delay = encoder.delay * self.hop + decoder.delay
        try:
            encode = _demand_form(make(encoder, channels=1, block=self.hop, device=device), (1, self.hop), (latents, 1))
            self._decode = _demand_form(
                make(decoder, channels=latents, block=1, device=device), (latents, 1), (1, self.hop)
            )
        except (ExecutorError, ValueError, RuntimeError) as error:
            raise StageError(f"a {type(model).__name__} cannot be played: {error}") from None

        def means(sound: Floats) -> Floats:
            latest: Floats = encode(sound[None, None])[0, :latents, 0]
            return latest

        self._frames = FrameEncoder(means, encoder.delay)
        self._encode_clip = partial(encode_clip, encoder, hop=self.hop, latents=latents)

    def analyse(self, sound: Floats) -> Frame:
        """Return the frame of the next hop, `(hop,)`."""
        return self._frames.frame(sound)

    def encode_clip(self, sound: Floats) -> Series:
        """Return the frames of another sound, `(T,)`."""
        return self._encode_clip(sound)

    def prepare(self) -> None:
        """Do nothing: all work needs the hop's samples."""

    def synthesise(self, frame: Frame, speakers: Floats, values: Mapping[str, Value]) -> Floats:
        """Decode a frame: `(hop,)`."""
        sound: Floats = self._decode(frame.latents[None, :, None])[0, 0]
        return sound


def _demand_form(executor: Executor, given: tuple[int, int], wanted: tuple[int, int]) -> Executor:
    """Return an executor, from silence, that turns channels and samples `given` into those `wanted`, or more channels.

    Raises:
        ValueError: it does not.
    """
    _, channels, samples = executor(np.zeros((1, *given), np.float32)).shape
    if channels < wanted[0] or samples != wanted[1]:
        raise ValueError(f"{given} channels and samples become {(channels, samples)}; expected {wanted}")
    executor.reset()
    return executor
