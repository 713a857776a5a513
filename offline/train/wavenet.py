"""A WaveNet in training: bits per sample of crops, conditioned on speaker, text and local series."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from gramophone.models.layers import mulaw
from gramophone.models.nets.wavenet import SIZES, WaveNet, WaveNetShape
from gramophone.offline.data.corpus import Corpus
from gramophone.offline.data.recording import Recording
from gramophone.offline.data.text import text_encoder
from gramophone.offline.train.conditions import local_series, text_vectors
from gramophone.offline.train.crops import Batch, Cutter, ValidationBatch, stacked
from gramophone.offline.train.module import Training
from gramophone.offline.train.plan import TrainingError
from gramophone.offline.train.plans import WaveNetPlan
from gramophone.offline.train.shard_crops import training_crops

VALIDATION_CROPS = 24
"""Held-out crops per speaker."""
_PAUSE_S = 0.03
_STRIDE = 4
"""Stride of the learned upsampling of a local series, where it divides the hop."""


class WaveNetTraining(Training):
    """A WaveNet in training on a corpus.

    Raises:
        TrainingError: there is no such size, or crops are shorter than the receptive field.
        DataError: these recordings lack the conditioning.
        TextError: there is no such text encoder.
    """

    def __init__(self, plan: WaveNetPlan, corpus: Corpus) -> None:
        self.encoder = text_encoder(plan.text) if plan.text else None
        series = vector = None
        width = channels = 0
        if plan.local:
            channels, series = local_series(plan.local, plan.rate, plan.hop, plan.bands, self.encoder)
        if series and plan.local == "words":
            for recording in corpus.recordings:  # errors and unknown words are reported at the start
                series(recording)
        elif self.encoder:
            width, vector = self.encoder.width, text_vectors(self.encoder, corpus.recordings)
        self.shape = _shape(plan, len(corpus.speakers), width, channels)
        torch.manual_seed(plan.seed)
        super().__init__(WaveNet(self.shape), plan)
        self._corpus = corpus
        self._cutter = Cutter(
            corpus.speakers,
            plan.crop,
            self.shape.receptive_field,
            self.shape.hop,
            series=series,
            vector=vector,
            pause=0 if plan.pauses else round(_PAUSE_S * plan.rate),
        )

    @property
    def validation_names(self) -> tuple[str, ...]:
        """The speakers that have held-out recordings."""
        return tuple(self._corpus.examples)

    @property
    def averaged(self) -> WaveNet:
        """The network with averaged weights."""
        return cast(WaveNet, self.average.module)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the bits per scored sample."""
        return bits_of(cast(WaveNet, net), batch)[batch.scored].mean()

    def crops(self, rank: int, processes: int) -> Dataset[Batch]:
        """Return crops of the recordings that may be trained on."""
        return training_crops(self._corpus, self._cutter, self.plan.batch, self.plan.seed, rank, processes)

    def validation_batches(self) -> ValidationBatch:
        """Return crops of the held-out recordings, a batch per speaker."""
        return ValidationBatch(self._corpus.held_out, self._cutter, VALIDATION_CROPS)

    def examples(self, seconds: float) -> Batch:
        """Return the beginning of one held-out recording per speaker, to generate examples from."""
        frames = round(seconds * self.plan.rate) // self.shape.hop
        cutter = replace(self._cutter, length=max(frames, 1) * self.shape.hop, unscored=0)
        return stacked(list(ValidationBatch(self._corpus.held_out, cutter, 1)))

    def whole(self, recording: Recording) -> Batch:
        """Return all of a recording, to its last whole frame, to resynthesise."""
        length = max(recording.heard.frames // self.shape.hop, 1) * self.shape.hop
        return replace(self._cutter, length=length, unscored=0).cut(recording, 0)


def bits_of(net: WaveNet, batch: Batch) -> Tensor:
    """Return the bits that each sample costs, `(B, T)`."""
    return bits_along(net, batch.sound, batch.jitter, conditions_of(net, batch))


def bits_along(net: WaveNet, sound: Tensor, jitter: Tensor, conditions: Tensor) -> Tensor:
    """Return the bits that each sample but the first costs: `(B, 1, 1 + T)` along `(B, condition, n)` -> `(B, T)`.

    The input is shifted by `jitter` `(B, 1, T)` mu-law steps.
    """
    levels = mulaw.encode(sound)
    past = mulaw.decode((levels[:, :, :-1] + jitter).clamp(0, mulaw.LEVELS - 1))
    predicted, _ = net(net.output.symbols(past), None, *([conditions] if conditions.shape[1] else []))
    bits: Tensor = net.output.bits(predicted, net.output.symbols(sound[:, 0, 1:]))
    return bits


def conditions_of(net: WaveNet, batch: Batch) -> Tensor:
    """Return the conditioning of a batch, `(B, condition, n)`."""
    controls = []
    if net.shape.speakers:
        controls.append(F.one_hot(batch.speaker, net.shape.speakers).to(batch.sound.dtype))
    if net.shape.vector:
        controls.append(batch.vector)
    conditions: Tensor = net.conditions(batch.local, None, *controls)[0]
    return conditions.expand(len(batch.sound), -1, -1)


def _shape(plan: WaveNetPlan, speakers: int, vector: int, channels: int) -> WaveNetShape:
    if plan.size not in SIZES:
        raise TrainingError(f"size {plan.size!r}: expected one of {', '.join(SIZES)}")
    shape = replace(
        SIZES[plan.size],
        output=plan.output,
        speakers=speakers if plan.conditional else 0,
        vector=vector,
        local=channels,
        hop=plan.hop if channels else 1,
        upsampling=(_STRIDE,) if channels and plan.hop % _STRIDE == 0 else (),
    )
    if plan.crop <= shape.receptive_field or plan.crop % shape.hop:
        raise TrainingError(
            f"crops of {plan.crop} samples: size {plan.size} has a receptive field of {shape.receptive_field}; "
            f"expected longer ones, whole frames of {shape.hop}"
        )
    return shape
