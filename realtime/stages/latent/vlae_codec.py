"""The VLAE as a codec: latents condition its WaveNet, which is drawn sample by sample (`realtime/wavenet`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from gramophone.models.checkpoint import Card
from gramophone.models.layers.composition import Sequential
from gramophone.models.layers.convolution import CausalConv1d
from gramophone.models.layers.streaming import Streaming
from gramophone.models.nets.vlae import VLAE
from gramophone.models.parameters import Value
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.executor import make
from gramophone.realtime.stages.latent.codec import Frame, Series
from gramophone.realtime.stages.latent.encoder import FrameEncoder, by_executors
from gramophone.realtime.stages.wavenet.sampler import Sampler


class VLAECodec:
    """Sound drawn from the model's probabilities: from the same seed and frames always the same."""

    spare_s = 0.0

    def __init__(self, model: VLAE, card: Card, device: str) -> None:
        shape = model.shape
        self.rate, self.hop, self.delay = shape.rate, shape.hop, model.delay
        ear, network = _halves(model.encoder)
        hear = by_executors(ear, network, shape.hop, shape.latents, device)
        self._analyser = FrameEncoder(model.encoder, hear, shape.hop, model.encoder.delay, shape.latents)
        self._controls = [np.zeros((1, shape.speakers), np.float32)] if shape.speakers else []
        self._conditions = make(
            model.wavenet.conditions, channels=shape.latents, block=1, controls=self._controls, device=device
        )
        self._deemphasis = make(model.decoder.deemphasis, channels=1, block=shape.hop, device=device)
        self._seed = 0
        Sampler(model.wavenet, device=device).generate(  # compiled now, not later
            1, np.zeros((1, model.wavenet.shape.condition, 1), np.float32)
        )
        self._sampler = Sampler(model.wavenet, seed=self._seed, device=device)

    def analyse(self, sound: Floats) -> Frame:
        """Return the next frame."""
        return self._analyser.frame(sound)

    def learn(self, sound: Floats) -> Series:
        """Return another sound's frames."""
        return self._analyser.learn(sound)

    def prepare(self) -> None:
        """Nothing: what comes next is drawn sample by sample."""

    def synthesise(self, frame: Frame, speakers: Floats, values: Mapping[str, Value]) -> Floats:
        """Draw the next hop."""
        if round(float(values["seed"])) != self._seed:
            self._seed = round(float(values["seed"]))
            self._sampler.seed(self._seed)
        controls = [speakers[None]] if self._controls else []
        conditions = self._conditions(frame.latents[None, :, None], *controls)
        freedom = float(values["temperature"]), float(values["nucleus"])
        drawn = self._sampler.generate(self.hop, conditions, *freedom)
        said: Floats = self._deemphasis(drawn[None])[0, 0]
        return said


def _halves(encoder: Sequential) -> tuple[Sequential, Sequential]:
    """Return what hears, spectra and their delay, and the network from its first convolution on."""
    layers = [cast(Streaming, layer) for layer in encoder.layers]
    first = next(i for i, layer in enumerate(layers) if isinstance(layer, CausalConv1d))
    return Sequential(*layers[:first]), Sequential(*layers[first:])
