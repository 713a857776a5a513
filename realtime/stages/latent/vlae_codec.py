"""The VLAE as a codec: its latents condition a WaveNet, which is sampled sample by sample (`stages/wavenet`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.dsp.smoothing import crossfade
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stages.latent import vlae_conditions
from gramophone.realtime.stages.latent.codec import Frame, LatentModel, Series
from gramophone.realtime.stages.latent.encoder import FrameEncoder, encode_clip, executor_encoder
from gramophone.realtime.stages.latent.kept import Kept
from gramophone.realtime.stages.latent.loudness_match import LoudnessMatch
from gramophone.realtime.stages.latent.vlae_conditions import ConditionsParts, LiveConditions, conditions_parts
from gramophone.realtime.stages.latent.vlae_encoder import LiveVlaeEncoder, VlaeEncoderParts, encoder_parts, fits
from gramophone.realtime.stages.prepared import prepared
from gramophone.realtime.stages.wavenet.engines import WaveNetParts, parts_of
from gramophone.realtime.stages.wavenet.sampler import Sampler

if TYPE_CHECKING:
    from gramophone.models.layers.streaming import Streaming
    from gramophone.models.nets.vlae import VLAE
    from gramophone.models.nets.wavenet import Conditions

_RISE = 100.0
"""The most power of the output relative to the input, 20 dB: a style may be louder, but says nothing in a pause."""
_HOLDING = ("freeze", "morph", "recall")
"""Parameters that play latents of another time or sound, for which the level of the input means nothing."""


class VlaeParts(NamedTuple):
    """What a codec takes of a model: rate in Hz, hop and delay in samples, the encoder's delay in frames, arrays.

    `encoder` and `conditions` are None where the kernels do not fit the model. `deemphasis` is the filter's amount.
    """

    rate: int
    hop: int
    delay: int
    encoder_delay: int
    encoder: VlaeEncoderParts | None
    conditions: ConditionsParts | None
    deemphasis: float
    sampler: WaveNetParts


def _parts_of(path: Path) -> VlaeParts:
    model: VLAE = LatentModel.of(path).network()
    shape, wavenet = model.shape, model.wavenet
    return VlaeParts(
        shape.rate,
        shape.hop,
        model.delay,
        model.encoder.delay,
        encoder_parts(model) if fits(shape) else None,
        conditions_parts(wavenet.conditions) if vlae_conditions.fits(wavenet.shape) else None,
        float(model.decoder.deemphasis.amount),
        parts_of(wavenet),
    )


def _encode_clip(path: Path, sound: Floats) -> Series:
    model: VLAE = LatentModel.of(path).network()
    return encode_clip(model.encoder, sound, model.shape.hop, model.shape.latents)


class VLAECodec:
    """Encodes by the VLAE's encoder and draws sound from its WaveNet; the same seed and frames give the same sound."""

    deferral_s = 0.0

    def __init__(self, source: LatentModel, device: str) -> None:
        parts = prepared(_parts_of, source.path)
        self.rate, self.hop, self.delay = parts.rate, parts.hop, parts.delay
        self._path = source.path
        self._live = LiveVlaeEncoder(parts.encoder) if parts.encoder else None
        encode_hop = self._live.encode if self._live else _slow_encoder(source.network(), device)
        self._encoder = FrameEncoder(encode_hop, parts.encoder_delay)
        self._conditions: Callable[[Floats, Floats], Floats]
        if parts.conditions and device == "cpu":
            self._conditions = LiveConditions(parts.conditions).compute
        else:
            self._conditions = _slow_conditions(source.network().wavenet.conditions, device)
        last = np.zeros(1, np.float32)
        self._deemphasise = bind(_deemphasise, (last, parts.deemphasis), last)
        self._limit = LoudnessMatch(self.hop, self.hop / self.rate, _RISE, (0.0, 1.0))
        self._held = Kept(_held)
        self._seed = 0
        sampled = parts.sampler if device == "cpu" else source.network().wavenet
        Sampler(sampled, device=device).generate(  # compiled now, not in the first block
            1, np.zeros((1, parts.sampler.condition, 1), np.float32)
        )
        self._sampler = Sampler(sampled, seed=self._seed, device=device)

    def analyse(self, sound: Floats) -> Frame:
        """Return the frame of the next hop, `(hop,)`."""
        return self._encoder.frame(sound)

    def encode_clip(self, sound: Floats) -> Series:
        """Return the frames of another sound, `(T,)`."""
        return prepared(_encode_clip, self._path, sound)

    def prepare(self) -> None:
        """Add up what the encoder's past contributes to the next hop; each sample drawn depends on the one before."""
        if self._live:
            self._live.prepare()

    def synthesise(self, frame: Frame, speakers: Floats, values: Mapping[str, Value]) -> Floats:
        """Draw the next hop, `(hop,)`."""
        if round(float(values["seed"])) != self._seed:
            self._seed = round(float(values["seed"]))
            self._sampler.seed(self._seed)
        conditions = self._conditions(frame.latents, speakers)[None, :, None]
        distribution = float(values["temperature"]), float(values["nucleus"])
        drawn = self._sampler.generate(self.hop, conditions, *distribution)
        output = drawn[0]
        self._deemphasise(output)
        held = self._held(values)
        limited = self._limit.process(output.copy() if held else output, frame.power)
        return crossfade(limited, output, held)


def _held(values: Mapping[str, Value]) -> np.float32:
    """Return how far what plays is not of this moment, 0 to 1."""
    return np.float32(max(float(values[name]) for name in _HOLDING) if values["gate"] else 1.0)


@jit
def _deemphasise(bound: Any, sound: Floats) -> None:
    """Lower the treble of a chunk `(T,)` in place (`Deemphasis`); bound to the sample before, `(1,)`, and an amount."""
    last, exact = contents(bound)
    amount = np.float32(exact)
    for i in range(len(sound)):
        last[0] = sound[i] + amount * last[0]
        sound[i] = last[0]


def _slow_encoder(model: VLAE, device: str) -> Callable[[Floats], Floats]:
    """Return what encodes a hop of a model whose windows the kernels do not take: torch, then an executor."""
    from gramophone.models.layers.composition import Sequential
    from gramophone.models.layers.convolution import CausalConv1d

    layers = [cast("Streaming", layer) for layer in model.encoder.layers]
    first = next(i for i, layer in enumerate(layers) if isinstance(layer, CausalConv1d))
    features, network = Sequential(*layers[:first]), Sequential(*layers[first:])
    return executor_encoder(features, network, model.shape.hop, model.shape.latents, device)


def _slow_conditions(conditions: Conditions, device: str) -> Callable[[Floats, Floats], Floats]:
    """Return what computes the conditions of models or devices that the kernel is not for: an executor."""
    from gramophone.realtime.kernels.executor import make

    shape = conditions.shape
    controls = [np.zeros((1, shape.speakers), np.float32)] if shape.speakers else []
    run = make(conditions, channels=shape.local, block=1, controls=controls, device=device)

    def compute(latents: Floats, speakers: Floats) -> Floats:
        found: Floats = run(latents[None, :, None], *([speakers[None]] if controls else []))[0, :, 0]
        return found

    return compute
