"""A TorchScript model of other people as a codec: one frame encoded and decoded at a time, on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gramophone.models.parameters import Value
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.codec import Frame, LatentModel, Series
from gramophone.realtime.stages.latent.parameters import attribute_knobs
from gramophone.realtime.stages.latent.torchscript import trusted

_LOG = logging.getLogger(__name__)
_WARM_UP = 3
"""Calls after which TorchScript has compiled what it compiles."""


class TorchScriptCodec:
    """Runs `encode` and `decode` of a trusted file; its own state goes on from frame to frame.

    Raises:
        StageError: the file cannot be loaded.
    """

    deferral_s = 0.0

    def __init__(self, source: LatentModel, device: str) -> None:
        self._path, self._form = source.path, trusted(source.path)
        model = self._form
        self.rate, self.hop, self.delay = model.rate, model.hop, model.delay
        self._attributes = {knob.name: name for name, knob in attribute_knobs(model.attributes).items()}
        self._set: dict[str, Value] = {}
        warm = self._loaded()
        for _ in range(_WARM_UP):
            decode(warm, encode(warm, np.zeros(self.hop, np.float32), model.inputs))
        self._model = self._loaded()

    def analyse(self, sound: Floats) -> Frame:
        """Return the frame of the next hop, `(hop,)`."""
        try:
            latents = encode(self._model, sound, self._form.inputs)[:, 0]
        except Exception as error:
            latents = self._no_number("encode", error, self._form.latents)
        return Frame(latents, float(sound @ sound) / len(sound))

    def encode_clip(self, sound: Floats) -> Series:
        """Return the frames of another sound `(T,)`, by a copy of the model that begins from silence."""
        sound = np.pad(sound, (0, -len(sound) % self.hop))
        model, hops = self._loaded(), sound.reshape(-1, self.hop)
        latents = [encode(model, hop, self._form.inputs)[:, 0] for hop in hops]
        shape = (len(hops), self._form.latents)
        return Series(np.array(latents, np.float32).reshape(shape), np.square(hops).mean(axis=1))

    def prepare(self) -> None:
        """Do nothing: all work needs the hop's samples."""

    def synthesise(self, frame: Frame, speakers: Floats, values: Mapping[str, Value]) -> Floats:
        """Decode a frame: `(hop,)`, the mean of the model's channels."""
        for knob, name in self._attributes.items():
            if self._set.get(knob) != values[knob]:
                self._set[knob] = values[knob]
                _set_attribute(self._model, name, self._form.attributes[name], values[knob])
        try:
            return decode(self._model, frame.latents[:, None])
        except Exception as error:
            return self._no_number("decode", error, self.hop)

    def _no_number(self, method: str, error: Exception, size: int) -> Floats:
        """Return what the engine takes as a stage that has failed: it makes it again, counts it and names it."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        _LOG.warning("%s: %s failed: %s", self._path, method, lines[-1])
        return np.full(size, np.nan, np.float32)

    def _loaded(self) -> Any:
        try:
            return torch.jit.load(str(self._path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, OSError) as error:
            raise StageError(f"{self._path}: cannot be loaded: {str(error).strip().splitlines()[-1]}") from None


@torch.inference_mode()
def encode(model: Any, sound: Floats, channels: int) -> Floats:
    """Return the latents `(D, n)` of `(n * hop,)` samples."""
    x = torch.from_numpy(np.ascontiguousarray(sound))[None, None].expand(1, channels, -1)
    latents: Floats = model.encode(x)[0].float().numpy()
    return latents


@torch.inference_mode()
def decode(model: Any, latents: Floats) -> Floats:
    """Return the sound `(n * hop,)` of latents `(D, n)`, the mean of the model's channels."""
    sound: Floats = model.decode(torch.from_numpy(np.ascontiguousarray(latents, np.float32))[None])[0].mean(0).numpy()
    return sound


def _set_attribute(model: Any, name: str, own: float | bool, value: Value) -> None:
    """Set one of the model's own settings, in the type that it has."""
    getattr(model, f"set_{name}")(type(own)(round(float(value)) if isinstance(own, int) else value))
