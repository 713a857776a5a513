"""The interface between the latent stage and any latent model: sound to frames, frames to sound, hop by hop."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gramophone.models.checkpoint import (
    Card,
    CheckpointError,
    card_of,
    kind_of,
    load,
    numbers_of,
    package_kinds,
)
from gramophone.models.parameters import Value
from gramophone.realtime.stage import Parts, StageError
from gramophone.realtime.stages.latent.torchscript import KIND, trusted
from gramophone.realtime.stages.prepared import open_torch_library

if TYPE_CHECKING:
    from gramophone.realtime.kernels.arrays import Floats

_CODECS = {
    KIND: "gramophone.realtime.stages.latent.torchscript_codec:TorchScriptCodec",
    "vlae": "gramophone.realtime.stages.latent.vlae_codec:VLAECodec",
    "voice": "gramophone.realtime.stages.latent.voice_codec:VoiceCodec",
}
"""The codec class for each kind of latent model; it is constructed with the `LatentModel` and the device."""
_WITHOUT_TORCH = ("vlae", "voice")
"""The kinds whose codecs import no torch."""
_OF_PACKAGES = "gramophone.realtime.stages.latent.streaming_codec:StreamingCodec"
"""That of the kinds that other packages bring."""


class Frame(NamedTuple):
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
        the codec's own among them (`parameters.py`). Neither changes afterwards: where anything is to be another, both
        are new objects, so that what follows from them is computed once (`kept.py`).
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
        """Return the header of a checkpoint file, or what is known of a TorchScript file that has been trusted."""
        if path.suffix == ".ts":
            found = trusted(path)
            return LatentModel(path, KIND, found.latents, found.card())
        try:
            kind = kind_of(path)
            if kind not in _CODECS and kind not in package_kinds():
                raise StageError(f"{path}: a {kind} model; expected {' or '.join(sorted(_CODECS.keys() - {KIND}))}")
            shape, card = numbers_of(path), card_of(path)
        except CheckpointError as error:
            raise StageError(str(error)) from None
        latents = shape.get("latents")
        if not isinstance(latents, int) or latents < 1:
            raise StageError(f"{path}: a model without latents; expected one that has latents")
        _require_same(path, "rate", card.rate, shape.get("rate"))
        _require_same(path, "number of speakers", len(card.speakers), shape.get("speakers", 0))
        _require_same(path, "number of latents", len(card.latents) or latents, latents)
        return LatentModel(path, kind, latents, card)

    def codec(self, device: str) -> Codec:
        """Load the weights and return the codec, on device `cpu` or `cuda`.

        Raises:
            StageError: the weights do not fit, or the card's hop differs from the model's.
        """
        codec: Codec = self._codec_class()(self, device)
        return codec

    def parts(self) -> Parts:
        """Return what several processes can compile at once of the codec, as `Stage.parts`.

        Raises:
            StageError: as `codec`.
        """
        parts = getattr(self._codec_class(), "parts", None)
        return parts(self) if parts else ()

    def network(self) -> Any:
        """Return the torch module, none of a TorchScript file.

        Raises:
            StageError: the weights do not fit, or the card's hop differs from the model's.
        """
        try:
            network: Any = load(self.path, self.kind)[0]
        except CheckpointError as error:
            raise StageError(str(error)) from None
        _require_same(self.path, "hop", self.card.hop, network.shape.hop)
        return network

    def _codec_class(self) -> Any:
        if self.kind not in _WITHOUT_TORCH:
            open_torch_library()
        module, _, name = _CODECS.get(self.kind, _OF_PACKAGES).partition(":")
        return getattr(importlib.import_module(module), name)


def _require_same(path: Path, what: str, card_value: object, model_value: object) -> None:
    if card_value != model_value:
        raise StageError(f"{path}: the card's {what} is {card_value}, the model's {model_value}; expected the same")
