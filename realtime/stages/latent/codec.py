"""The interface between the latent stage and any latent model: sound to frames, frames to sound, hop by hop.

The encoder side shared by all latent models: hop by hop for the input, at once for a reference clip.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from gramophone.models.checkpoint import Card, CheckpointError, card_of, kind_of, load, numbers_of
from gramophone.models.parameters import Value
from gramophone.realtime.stage import StageError

if TYPE_CHECKING:
    from gramophone.realtime.kernels.arrays import Floats


from collections import deque
from collections.abc import Callable

import numpy as np
import torch

from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.style.style import GATE, TINY
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.executor import make

_CODECS = {
    "vlae": "gramophone.realtime.stages.latent.vlae_codec:VLAECodec",
    "voice": "gramophone.realtime.stages.latent.voice_codec:VoiceCodec",
}
"""The codec class for each kind of latent model; it is constructed with the model, its card and the device."""


@dataclass(frozen=True)
class Frame:
    """The analysis of one hop: its latents `(D,)` and its power, the mean square of its samples.

    `prosody` holds further inputs of the decoder (pitch, loudness …), in a form private to the codec.
    """

    latents: Floats
    power: float
    prosody: tuple[float, ...] = ()


@dataclass(frozen=True)
class Series:
    """The analysis of a whole sound, aligned with it: latents `(n, D)` and powers `(n,)` of its n hops."""

    latents: Floats
    powers: Floats


class Codec(Protocol):
    """A latent model with its streaming state, at `rate` Hz, with a frame for every `hop` samples.

    `delay` is the latency in samples from the input of `analyse` to the output of `synthesise`. `deferral_s` is for how
    many seconds `synthesise` may be put off after `analyse`, so that their work falls into two blocks.
    """

    rate: int
    hop: int
    delay: int
    deferral_s: float

    def analyse(self, sound: Floats) -> Frame:
        """Return the frame of the next hop of sound, `(hop,)`."""

    def encode_clip(self, sound: Floats) -> Series:
        """Return the frames of another sound `(T,)`, encoded from silence. Safe to call from any thread."""

    def prepare(self) -> None:
        """Do what does not need the samples of the next hop; called in a block that completes no hop."""

    def synthesise(self, frame: Frame, speakers: Floats, values: Mapping[str, Value]) -> Floats:
        """Decode a frame: return the next hop of sound, `(hop,)`.

        `speakers` `(speakers,)` are the weights of a blend of speakers, 1 in sum. `values` are the stage's parameters,
        the codec's own among them (`parameters.py`).
        """


@dataclass(frozen=True)
class LatentModel:
    """The header of a latent model's checkpoint, read without its weights and without torch.

    `latents` is the number of latent dimensions.

    Raises:
        StageError: the file is no checkpoint of a latent model, or its card does not fit its shape.
    """

    path: Path
    kind: str
    latents: int
    card: Card

    @staticmethod
    def of(path: Path) -> LatentModel:
        """Return the header of a checkpoint file."""
        try:
            kind = kind_of(path)
            if kind not in _CODECS:
                raise StageError(f"{path}: a {kind} model; expected {' or '.join(_CODECS)}")
            shape, card = numbers_of(path), card_of(path)
        except CheckpointError as error:
            raise StageError(str(error)) from None
        latents = shape.get("latents")
        if not isinstance(latents, int) or latents < 1:
            raise StageError(f"{path}: a model without latents; expected one that has latents")
        _require_same(path, "rate", card.rate, shape.get("rate"))
        _require_same(path, "number of speakers", len(card.speakers), shape.get("speakers"))
        _require_same(path, "number of latents", len(card.latents) or latents, latents)
        return LatentModel(path, kind, latents, card)

    def codec(self, device: str) -> Codec:
        """Load the weights and return the codec, on device `cpu` or `cuda`.

        Raises:
            StageError: the weights do not fit, or the card's hop differs from the model's.
        """
        try:
            network, _ = load(self.path, self.kind)
        except CheckpointError as error:
            raise StageError(str(error)) from None
        _require_same(self.path, "hop", self.card.hop, cast(Any, network).shape.hop)
        module, _, name = _CODECS[self.kind].partition(":")
        codec: Codec = getattr(importlib.import_module(module), name)(network, self.card, device)
        return codec


def _require_same(path: Path, what: str, card_value: object, model_value: object) -> None:
    if card_value != model_value:
        raise StageError(f"{path}: the card's {what} is {card_value}, the model's {model_value}; expected the same")


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

    def frame(self, sound: Floats) -> Frame:
        """Return the frame of the next hop of sound, `(hop,)`."""
        self._powers.append(float(sound @ sound) / len(sound))
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
