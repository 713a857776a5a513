"""What the latent stage asks of a model, whichever it is: sound into frames, frames into sound, hop by hop."""

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

_CODECS = {
    "vlae": "gramophone.realtime.stages.latent.vlae_codec:VLAECodec",
    "voice": "gramophone.realtime.stages.latent.voice_codec:VoiceCodec",
}
"""Where the codec of each kind of latent model lives; it takes the model, its card and the device."""


@dataclass(frozen=True)
class Frame:
    """What a model makes of a hop: its latents `(D,)` and the mean square of its samples.

    `told` is what the decoder must know besides (pitch, loudness …), as the codec likes; nothing else touches it.
    """

    latents: Floats
    power: float
    told: tuple[float, ...] = ()


@dataclass(frozen=True)
class Series:
    """A whole sound, frame by frame and in line with it: latents `(n, D)`, powers `(n,)`."""

    latents: Floats
    powers: Floats


class Codec(Protocol):
    """A latent model in the middle of its work, at `rate` Hz: a frame for every `hop` samples.

    `delay` is the number of samples by which what `synthesise` returns is later than what `analyse` was given for it.
    `spare_s` is how long the one may be put off after the other, so that their work falls on two blocks.
    """

    rate: int
    hop: int
    delay: int
    spare_s: float

    def analyse(self, sound: Floats) -> Frame:
        """Return the next frame, for the next hop of sound `(hop,)`."""

    def learn(self, sound: Floats) -> Series:
        """Return what the model makes of another sound `(T,)`, from silence; any thread may ask."""

    def prepare(self) -> None:
        """Do what can be done before the next hop is there; for a block that has time, for it completes none."""

    def synthesise(self, frame: Frame, speakers: Floats, values: Mapping[str, Value]) -> Floats:
        """Return the next hop of sound, `(hop,)`: a frame said with weights over the speakers, `(speakers,)`.

        `values` are the knobs, the codec's own among them (`knobs.py`).
        """


@dataclass(frozen=True)
class LatentModel:
    """What a checkpoint says of a latent model before its weights are read.

    `latents` is how many it has. This is read without torch: whoever turns the knobs has no time for it.

    Raises:
        StageError: the file is no checkpoint of a latent model, or its card does not fit its shape.
    """

    path: Path
    kind: str
    latents: int
    card: Card

    @staticmethod
    def of(path: Path) -> LatentModel:
        """Return what the file says."""
        try:
            kind = kind_of(path)
            if kind not in _CODECS:
                raise StageError(f"{path}: a {kind} model; expected {' or '.join(_CODECS)}")
            shape, card = numbers_of(path), card_of(path)
        except CheckpointError as error:
            raise StageError(str(error)) from None
        latents = shape.get("latents")
        if not isinstance(latents, int) or latents < 1:
            raise StageError(f"{path}: a model without latents; expected one that has some to turn")
        _demand_same(path, "rate", card.rate, shape.get("rate"))
        _demand_same(path, "number of speakers", len(card.speakers), shape.get("speakers"))
        _demand_same(path, "number of latents", len(card.latents) or latents, latents)
        return LatentModel(path, kind, latents, card)

    def codec(self, device: str) -> Codec:
        """Load the weights.

        Raises:
            StageError: they do not fit, or the card's hop is another than the model's.
        """
        try:
            network, _ = load(self.path, self.kind)
        except CheckpointError as error:
            raise StageError(str(error)) from None
        _demand_same(self.path, "hop", self.card.hop, cast(Any, network).shape.hop)
        module, _, name = _CODECS[self.kind].partition(":")
        codec: Codec = getattr(importlib.import_module(module), name)(network, self.card, device)
        return codec


def _demand_same(path: Path, what: str, said: object, found: object) -> None:
    if said != found:
        raise StageError(f"{path}: the card's {what} is {said}, the model's {found}; expected the same")
