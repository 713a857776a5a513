"""The streaming parts of each kind of model: what can be run elsewhere, with what it takes at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from gramophone.models.checkpoint import Card, kind_of, load, package_kinds
from gramophone.models.layers.mulaw import LEVELS
from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.nets.content import ContentEncoder
from gramophone.models.nets.output_distributions import Categorical
from gramophone.models.nets.tagger import RATE, Tagger
from gramophone.models.nets.vlae import VLAE
from gramophone.models.nets.voice import Voice
from gramophone.models.nets.wavenet import WaveNet
from gramophone.models.units import COLOUR, PROSODY
from gramophone.realtime.kernels.onnx_export import ExportError
from gramophone.realtime.stages.latent.streaming_codec import PackageModel

_TAGS_EVERY = 8192
"""Samples from one answer of a tagger to the next."""
_SYLLABLE = 2000
"""Samples over which the level of a check's sound goes from one value to the next."""
_HELD = 8
"""Frames for which pitch, voicing and loudness of a check hold."""


@dataclass(frozen=True)
class Signal:
    """An input of a step. Its array is `(1, channels, per_step)`, or `(1, channels)` if it is a vector (`per_step` 0).

    `draw` returns what it may be, for a check: for a random generator and a shape, an array of that shape.
    """

    name: str
    channels: int
    per_step: int
    draw: Callable[[Generator, tuple[int, ...]], NDArray[Any]]

    def series(self, rng: Generator, steps: int) -> NDArray[Any]:
        """Return the input of so many steps, one after the other; a vector stays the same over all."""
        return self.draw(rng, (1, self.channels, self.per_step * steps) if self.per_step else (1, self.channels))


@dataclass(frozen=True)
class StreamPart:
    """A streaming module with its inputs: the block first, which is of one hop, then the controls.

    `rate` is that of the sound that the part is about, `hop` how many of its samples a step stands for.
    """

    name: str
    module: Streaming
    inputs: tuple[Signal, ...]
    rate: int
    hop: int

    @property
    def produced(self) -> int:
        """How many output samples or frames a step gives."""
        return self.inputs[0].per_step * self.module.up // self.module.hop

    @property
    def delay_samples(self) -> int:
        """How late the part says that it is, in samples of sound."""
        return self.module.delay * self.hop // self.produced

    def steps(self, inputs: Sequence[NDArray[Any]], first: int, end: int) -> list[NDArray[Any]]:
        """Return the inputs of some of the steps that `inputs` are for, in memory of their own."""
        return [
            np.ascontiguousarray(array[:, :, first * signal.per_step : end * signal.per_step])
            if signal.per_step
            else array
            for array, signal in zip(inputs, self.inputs, strict=True)
        ]

    def silence(self) -> list[NDArray[Any]]:
        """Return the state before the first step."""
        with torch.no_grad():
            state = self.module.initial_state(torch.from_numpy(self.examples()[0]))
        return [tensor.numpy() for tensor in state]

    def examples(self) -> list[NDArray[Any]]:
        """Return the inputs of one step, all zeros."""
        rng = np.random.default_rng(0)
        return [np.zeros_like(signal.series(rng, 1)) for signal in self.inputs]


def parts_of(path: Path) -> tuple[list[StreamPart], Card]:
    """Return the streaming parts of a model's file, and its card.

    Raises:
        CheckpointError: the file cannot be read.
        ExportError: no part of such a model streams.
    """
    kind = kind_of(path)
    if kind in package_kinds():
        model, card = load(path)
        return _of_package(cast("PackageModel", model.requires_grad_(False)), card), card
    if kind not in _PARTS:
        raise ExportError(f"{path}: no part of a model of kind {kind} streams; expected one of {', '.join(_PARTS)}")
    model, card = load(path)
    return _PARTS[kind](model.requires_grad_(False), card), card


class Means(Streaming):
    """The means of an encoder's Gaussians: sound `(B, 1, T)` -> `(B, latents, T / hop)`."""

    def __init__(self, encoder: Streaming, latents: int) -> None:
        super().__init__()
        self.encoder, self.latents = encoder, latents
        self.hop, self.up, self.delay = encoder.hop, encoder.up, encoder.delay

    def initial_state(self, x: Tensor) -> State:
        """Return the encoder's."""
        return self.encoder.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Encode one chunk."""
        numbers, state = self.encoder.step(x, state, *controls)
        return numbers[:, : self.latents], state


class SpeakingDecoder(Streaming):
    """A voice's decoder by weights over its speakers `(B, speakers)`, prosody `(B, PROSODY, n)`, colour `(B, COLOUR)`.

    These are the controls; the block is the latents `(B, latents, n)`, the output sound `(B, 1, n * hop)`.
    """

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self.table, self.decoder = voice.table, voice.decoder
        self.up = voice.decoder.up

    def initial_state(self, x: Tensor) -> State:
        """Silence."""
        return self.decoder.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Decode one chunk."""
        weights, *rest = controls
        return self.decoder.step(x, state, weights @ self.table, *rest)


class SlidingTagger(Streaming):
    """Sound `(B, 1, T)` -> the probability of every tag `(B, tags, T / hop)`, each of the last chunk of sound."""

    hop = _TAGS_EVERY

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.tagger = tagger

    def initial_state(self, x: Tensor) -> State:
        """Silence before."""
        return (x.new_zeros(x.shape[0], self.tagger.chunk - self.hop),)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Tag the chunks that end with each hop."""
        known = torch.cat([state[0], x[:, 0]], 1)
        answers = [
            self.tagger.probabilities(known[:, start : start + self.tagger.chunk])
            for start in range(0, x.shape[2], self.hop)
        ]
        return torch.stack(answers, 2), (known[:, x.shape[2] :].clone(),)


def sound(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return noise whose level goes up and down about as that of speech does."""
    places = np.arange(shape[-1]) / _SYLLABLE
    syllables = int(places[-1]) + 2
    level = np.interp(places, np.arange(syllables), rng.uniform(0, 0.5, syllables))
    return (rng.uniform(-1, 1, shape) * level).astype(np.float32)


def gaussian(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return what latents are like."""
    return rng.standard_normal(shape, np.float32)


def weights(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a blend of speakers, `(1, speakers)`."""
    return rng.dirichlet(np.ones(shape[1]), shape[0]).astype(np.float32)


def prosody(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return pitch, voicing and loudness, `(1, PROSODY, n)`, that hold for some frames each."""
    runs = rng.uniform([[-1.0], [0.0], [-6.0]], [[1.5], [1.0], [-1.0]], (PROSODY, shape[2] // _HELD + 1))
    return runs.repeat(_HELD, axis=1)[None, :, : shape[2]].astype(np.float32)


def small(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return numbers about 0."""
    return rng.uniform(-0.3, 0.3, shape).astype(np.float32)


def _levels(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    return rng.integers(0, LEVELS, shape)


def _of_wavenet(net: WaveNet, card: Card) -> list[StreamPart]:
    return _sampler(net, card.rate, net.shape.hop)


def _of_vlae(model: VLAE, card: Card) -> list[StreamPart]:
    """Return encoder and decoder, that one in the parts that sampling needs: each sample is drawn from a step."""
    shape = model.shape
    encoder = StreamPart("encoder", Means(model.encoder, shape.latents), (_sound_of(shape.hop),), shape.rate, shape.hop)
    deemphasis = StreamPart(
        "deemphasis", model.decoder.deemphasis, (Signal("sound", 1, shape.hop, sound),), shape.rate, shape.hop
    )
    return [encoder, *_sampler(model.wavenet, shape.rate, shape.hop), deemphasis]


def _sampler(net: WaveNet, rate: int, hop: int) -> list[StreamPart]:
    """Return the network of conditions, if there is any, and the step from a sample to the numbers of the next."""
    shape, parts = net.shape, []
    is_level = isinstance(net.output, Categorical)
    inputs = [Signal("symbol", 1, 1, _levels if is_level else sound)]
    if shape.condition:
        inputs.append(Signal("conditions", shape.condition, 1, gaussian))
        fixed = [Signal("speakers", shape.speakers, 0, weights)] if shape.speakers else []
        fixed += [Signal("vector", shape.vector, 0, gaussian)] if shape.vector else []
        series = Signal("latents", shape.local, 1, gaussian)
        parts.append(StreamPart("conditions", net.conditions, (series, *fixed), rate, hop))
    return [*parts, StreamPart("wavenet", net, tuple(inputs), rate, 1)]


def _of_voice(model: Voice, card: Card) -> list[StreamPart]:
    shape = model.shape
    controls = (
        Signal("speakers", shape.speakers, 0, weights),
        Signal("prosody", PROSODY, 1, prosody),
        Signal("colour", COLOUR, 0, small),
    )
    latents = Signal("latents", shape.latents, 1, gaussian)
    return [
        StreamPart("encoder", Means(model.encoder, shape.latents), (_sound_of(shape.hop),), shape.rate, shape.hop),
        StreamPart("loudness", model.loudness, (_sound_of(shape.hop),), shape.rate, shape.hop),
        StreamPart("decoder", SpeakingDecoder(model), (latents, *controls), shape.rate, shape.hop),
    ]


def _of_content(model: nn.Module, card: Card) -> list[StreamPart]:
    """Return the content encoder; of `anyone` too, whose maps are no network."""
    encoder = model if isinstance(model, ContentEncoder) else cast(ContentEncoder, model.encoder)
    return [StreamPart("encoder", encoder, (_sound_of(encoder.hop),), encoder.shape.rate, encoder.hop)]


def _of_package(model: PackageModel, card: Card) -> list[StreamPart]:
    latents = Signal("latents", model.shape.latents, 1, gaussian)
    return [
        StreamPart(
            "encoder", Means(model.encoder, model.shape.latents).eval(), (_sound_of(card.hop),), card.rate, card.hop
        ),
        StreamPart("decoder", model.decoder, (latents,), card.rate, card.hop),
    ]


def _of_tagger(model: Tagger, card: Card) -> list[StreamPart]:
    return [StreamPart("tagger", SlidingTagger(model), (_sound_of(_TAGS_EVERY),), RATE, _TAGS_EVERY)]


def _sound_of(hop: int) -> Signal:
    return Signal("sound", 1, hop, sound)


_PARTS: dict[str, Callable[[Any, Card], list[StreamPart]]] = {
    "anyone": _of_content,
    "content": _of_content,
    "tagger": _of_tagger,
    "vlae": _of_vlae,
    "voice": _of_voice,
    "wavenet": _of_wavenet,
}
