"""The methods and attributes of each kind of model in nn~ (acids-ircam/nn_tilde): `encode`, `decode`, `forward`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.checkpoint import Card, kind_of, load
from gramophone.models.layers.composition import Delay
from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.nets.voice import Voice
from gramophone.models.units import MIDDLE_HZ, PROSODY
from gramophone.offline.export.parts import (
    Signal,
    SpeakingDecoder,
    StreamPart,
    gaussian,
    parts_of,
    prosody,
    sound,
)
from gramophone.realtime.kernels.onnx_export import ExportError

_NATS_PER_DB = math.log(10) / 20
_LOUDEST = 0.0
"""Nats: the loudest input of the decoder, full scale."""
_CHECKED_HZ, _CHECKED_RATE = 220.0, 16_000
"""About this is the pitch of a check, at about this rate."""


@dataclass(frozen=True)
class Attribute:
    """A setting of a model in nn~: an integer or a number, between `least` and `most`."""

    name: str
    default: int | float
    least: float
    most: float


@dataclass(frozen=True)
class NnModel:
    """A model as nn~ has it.

    `methods` are parts by the method's name, each with a block and then, as a vector, the attributes' values. Where
    there are `encode` and `decode`, `forward` is the one after the other. `labels` name a method's channels.
    """

    rate: int
    methods: dict[str, StreamPart]
    attributes: tuple[Attribute, ...]
    labels: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


def nn_model_of(path: Path) -> tuple[NnModel, Card]:
    """Return what a model's file is in nn~, and its card.

    Raises:
        CheckpointError: the file cannot be read.
        ExportError: a model of this kind cannot be played there.
    """
    if kind_of(path) == "voice":
        voice, card = load(path, "voice")
        return _of_voice(cast(Voice, voice.requires_grad_(False)), card), card
    parts, card = parts_of(path)
    by_name = {part.name: part for part in parts}
    methods = {
        method: _attributed(by_name[name], ())
        for name, method in {"encoder": "encode", "decoder": "decode", "tagger": "forward"}.items()
        if name in by_name and len(by_name[name].inputs) == 1
    }
    if not methods:
        raise ExportError(f"{path}: has neither an encoder nor a decoder that takes nothing but its input")
    return NnModel(card.rate, methods, (), {method: _labels(part, card) for method, part in methods.items()}), card


class Unset(Streaming):
    """A part without attributes: the control that holds their values is left out."""

    def __init__(self, module: Streaming) -> None:
        super().__init__()
        self.module = module
        self.hop, self.up, self.delay = module.hop, module.up, module.delay

    def initial_state(self, x: Tensor) -> State:
        """Return the part's."""
        return self.module.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Run one chunk."""
        return self.module.step(x, state)


class VoiceAnalysis(Streaming):
    """Sound and its pitch in Hz, 0 where unvoiced, `(B, 2, T)` -> latents and prosody `(B, latents + PROSODY, n)`."""

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self.encoder, self.loudness = voice.encoder, voice.loudness
        self.latents = voice.shape.latents
        self.hop, self.delay = voice.shape.hop, voice.encoder.delay
        self.waiting = Delay(self.delay)

    def initial_state(self, x: Tensor) -> State:
        """Silence."""
        sound, frames = x[:, :1], x[:, 1:, :0]
        states = self.waiting.initial_state(frames), self.loudness.initial_state(sound)
        return *states[0], *states[1], *self.encoder.initial_state(sound)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Analyse one chunk."""
        sound = x[:, :1]
        sizes = len(self.waiting.initial_state(sound)), len(self.loudness.initial_state(sound))
        first, second = sizes[0], sum(sizes)
        hz, waiting = self.waiting.step(x[:, 1:, self.hop - 1 :: self.hop], state[:first])
        loudness, levels = self.loudness.step(sound, state[first:second])
        numbers, encoded = self.encoder.step(sound, state[second:])
        voicing = (hz > 0).to(x)
        octaves = (hz.clamp_min(1) / MIDDLE_HZ).log2() * voicing
        analysed = torch.cat([numbers[:, : self.latents], octaves, voicing, loudness], 1)
        return analysed, (*waiting, *levels, *encoded)


class VoiceSynthesis(Streaming):
    """Latents and prosody `(B, latents + PROSODY, n)` -> sound, by the values of `voice_attributes`."""

    places: Tensor

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self.decoder, self.latents = SpeakingDecoder(voice), voice.shape.latents
        self.up = voice.shape.hop
        self.register_buffer("places", torch.arange(voice.shape.speakers, dtype=torch.float32), persistent=False)

    def initial_state(self, x: Tensor) -> State:
        """Silence."""
        return self.decoder.initial_state(x[:, : self.latents])

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Speak one chunk."""
        first, second, blend, pitch, formant, breath, brightness = torch.split(controls[0], 1, 1)
        one, other = (torch.eq(self.places, place.round()).to(x) for place in (first, second))
        octaves, voicing, loudness = x[:, self.latents :].chunk(PROSODY, 1)
        told = torch.cat([octaves + pitch[:, :, None] / 12, voicing, loudness.clamp_max(_LOUDEST)], 1)
        colour = torch.cat([formant / 12, breath * _NATS_PER_DB, brightness * _NATS_PER_DB], 1)
        return self.decoder.step(x[:, : self.latents], state, torch.lerp(one, other, blend), told, colour)


def voice_attributes(speakers: int) -> tuple[Attribute, ...]:
    """Return a voice's attributes: speakers by number from 0, and their blend; the rest as in the latent stage."""
    last = speakers - 1
    return (
        Attribute("speaker", 0, 0, last),
        Attribute("speaker2", last, 0, last),
        Attribute("blend", 0.0, 0, 1),
        Attribute("pitch", 0.0, -24, 24),
        Attribute("formant", 0.0, -12, 12),
        Attribute("breath", 0.0, -24, 24),
        Attribute("brightness", 0.0, -6, 6),
    )


def _of_voice(voice: Voice, card: Card) -> NnModel:
    shape, attributes = voice.shape, voice_attributes(voice.shape.speakers)
    values = _values(attributes)
    channels = shape.latents + PROSODY
    heard = Signal("sound", 2, shape.hop, _sound_and_pitch)
    latents = Signal("latents", channels, 1, partial(_latents_and_prosody, shape.latents))
    encode = StreamPart("encode", VoiceAnalysis(voice).eval(), (heard, values), shape.rate, shape.hop)
    decode = StreamPart("decode", VoiceSynthesis(voice).eval(), (latents, values), shape.rate, shape.hop)
    names = (*_latent_labels(card, shape.latents), "octaves above 160 Hz", "voicing, 0 to 1", "loudness in nats")
    inputs = ("sound", "its pitch in Hz, 0: unvoiced")
    labels = {"encode": (inputs, names), "decode": (names, ("sound",)), "forward": (inputs, ("sound",))}
    return NnModel(shape.rate, {"encode": encode, "decode": decode}, attributes, labels)


def _attributed(part: StreamPart, attributes: tuple[Attribute, ...]) -> StreamPart:
    """Return a part that takes attributes, of which it has none."""
    return StreamPart(part.name, Unset(part.module).eval(), (*part.inputs, _values(attributes)), part.rate, part.hop)


def _values(attributes: Sequence[Attribute]) -> Signal:
    def draw(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        drawn = [rng.uniform(each.least, each.most) for each in attributes]
        whole = [isinstance(each.default, int) for each in attributes]
        return np.where(whole, np.round(drawn), drawn).astype(np.float32).reshape(shape)

    return Signal("attributes", len(attributes), 0, draw)


def _sound_and_pitch(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return sound and a pitch that glides, and pauses every other second or so."""
    time = np.arange(shape[2]) / _CHECKED_RATE
    hz = _CHECKED_HZ * 2 ** np.sin(2 * math.pi * time) * (np.sin(math.pi * time + rng.uniform(0, 6)) > 0)
    return np.stack([sound(rng, shape[2:]), hz.astype(np.float32)])[None]


def _latents_and_prosody(latents: int, rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.concatenate(
        [gaussian(rng, (1, latents, shape[2])), prosody(rng, (1, PROSODY, shape[2]))], axis=1, dtype=np.float32
    )


def _labels(part: StreamPart, card: Card) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the labels of a part's inputs and outputs."""
    with torch.no_grad():
        channels = part.module(*map(torch.from_numpy, part.examples()[:1]))[0].shape[1]
    taken = tuple(_numbered(part.inputs[0].name, part.inputs[0].channels))
    given = _latent_labels(card, channels) if part.name != "decoder" else tuple(_numbered("sound", channels))
    return taken, given


def _latent_labels(card: Card, latents: int) -> tuple[str, ...]:
    return card.latents if len(card.latents) == latents else tuple(_numbered("latent", latents))


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name} {number}" for number in range(1, count + 1)]
