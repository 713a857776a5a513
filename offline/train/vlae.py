"""How a VLAE of sound learns: bits per sample and what its latents cost, on crops encoded with their surroundings.

The KL's weight rises while the decoder learns to listen, free bits keep dimensions from dying, what the decoder hears
is a little wrong. The first latents are guided: each one's mean is drawn towards a descriptor (`DESCRIPTORS`), so that
it is where that is to be found and turned; the bound stays a bound, for it takes whatever the encoder says.
"""

from __future__ import annotations

import copy
import functools
import math
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.vae import closed_kl, gaussian, kl_per_dimension
from gramophone.models.nets.vlae import VLAE, arrange
from gramophone.offline.data.corpus import Corpus, sound
from gramophone.offline.data.descriptors import kept_descriptors
from gramophone.offline.train.crops import Batch, Cutter, Series, TrainingCrops, ValidationBatch
from gramophone.offline.train.latent_names import explained
from gramophone.offline.train.module import Training
from gramophone.offline.train.plans import VLAEPlan
from gramophone.offline.train.run import Machine, Tell, fit, gathered
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.samples import write_sounds
from gramophone.offline.train.vlae_resynthesis import encoded, resynthesised
from gramophone.offline.train.wavenet import JUDGED, bits_along
from gramophone.realtime.stage import Audio

_HEARD_FRAMES = 32
"""Frames before a crop that its latents may hang on."""


class Parts(NamedTuple):
    """What a batch costs: `bits` `(B, T)` per sample, `kl` `(B, D, n)` nats per frame; `means` `(B, D, n)`."""

    bits: Tensor
    kl: Tensor
    means: Tensor


class VLAETraining(Training):
    """A VLAE in training on a corpus."""

    plan: VLAEPlan

    def __init__(self, plan: VLAEPlan, corpus: Corpus) -> None:
        torch.manual_seed(plan.seed)
        net = VLAE(plan.shape(len(corpus.speakers)))
        super().__init__(net, plan)
        self._corpus = corpus
        hop = net.shape.hop
        warm = -(-net.wavenet.shape.receptive_field // hop) * hop
        self._cutter = Cutter(
            corpus.speakers,
            warm + plan.crop,
            warm,
            hop,
            series=guides(corpus, hop) if plan.guided else None,
            before=_HEARD_FRAMES * hop,
            after=net.delay,
        )

    @property
    def validation_names(self) -> tuple[str, ...]:
        """The speakers that have held-out recordings."""
        return tuple(self._corpus.examples)

    @property
    def averaged(self) -> VLAE:
        """The network with averaged weights."""
        return cast(VLAE, self.average.module)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return bits per scored sample and the latents' cost; while training, weighted, with free bits and guides."""
        model = cast(VLAE, net)
        parts = dissect(model, batch)
        bits, kl = parts.bits[batch.scored].mean(), kl_per_dimension(parts.kl)
        per_sample = 1 / (math.log(2) * model.shape.hop)
        if not self.training:
            return bits + kl.sum() * per_sample
        cost = self.plan.weight(self.global_step) * kl.clamp_min(self.plan.free_nats).sum() * per_sample
        return bits + cost + (self.plan.guide * strayed(parts.means, batch.local) if self.plan.guided else 0)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Note the averaged network's loss on one judged batch, with the same latents drawn every time."""
        torch.manual_seed(index)
        super().validation_step(batch, index)

    def crops(self, rank: int, processes: int) -> Dataset[Batch]:
        """Return crops of the recordings that may be trained on."""
        return TrainingCrops(self._corpus.training, self._cutter, self.plan.batch, self.plan.seed, rank, processes)

    def validation_batches(self) -> ValidationBatch:
        """Return crops of the held-out recordings, a batch per speaker."""
        return ValidationBatch(self._corpus.held_out, self._cutter, JUDGED)


def dissect(model: VLAE, batch: Batch) -> Parts:
    """Return what a batch costs, from one sample of the latents; its sound has surroundings for the encoder."""
    shape = model.shape
    length = batch.scored.shape[1]
    frames, before = length // shape.hop, _HEARD_FRAMES * shape.hop
    with torch.autocast(batch.sound.device.type, enabled=False):  # few numbers that matter much
        numbers, _ = model.encoder(batch.sound[:, :, 1:])
        posterior = gaussian(numbers[:, :, model.encoder.delay :])
        z = posterior.rsample()
        kl = closed_kl(posterior, model.prior(), z)[:, :, -frames:]
        conditions, _ = model.wavenet.conditions(z, None, *speakers_of(model, batch.speaker))
    emphasised, _ = model.decoder.emphasis(batch.sound)
    spoken = emphasised[:, :, before : before + 1 + length]
    bits = bits_along(model.wavenet, spoken, batch.jitter, conditions[:, :, -frames:])
    return Parts(bits, kl, posterior.mean[:, :, -frames:])


def speakers_of(model: VLAE, places: Tensor) -> list[Tensor]:
    """Return the conditions that say who speaks, for places in the table of speakers `(B,)`."""
    return [F.one_hot(places, model.shape.speakers).to(model.origin)] if model.shape.speakers else []


def strayed(means: Tensor, guides: Tensor) -> Tensor:
    """Return how far the first latents' means are from their guides on average, squared; a guide may have gaps."""
    told = ~guides.isnan()
    error = (means[:, : guides.shape[1]] - guides.nan_to_num()) * told
    return error.square().sum() / told.sum().clamp_min(1) * guides.shape[1]


def guides(corpus: Corpus, hop: int) -> Series:
    """Return the descriptors of a recording, each of mean 0 and variance 1 over all that is trained on."""
    known = {recording.sound: kept_descriptors(recording, corpus.rate, hop) for recording in corpus.recordings}
    everything = np.concatenate([known[recording.sound] for recording in corpus.training])
    mean, spread = np.nanmean(everything, axis=0), np.nanstd(everything, axis=0)
    return lambda recording: (known[recording.sound] - mean) / np.maximum(spread, 1e-6)


def train_vlae(plan: VLAEPlan, folder: RunFolder, machine: Machine, sample_s: float, tell: Tell) -> None:
    """Train a VLAE, or go on with it; the model is in the folder whenever it was judged, and at the end.

    Raises:
        DataError: there is nothing to learn from.
        TrainingError: another run was begun in the folder, the plan does not fit, or the loss is not a number.
    """
    corpus = gathered(plan, folder, tell)
    if plan.guided:
        tell({"words": "measuring loudness, pitch and the other descriptors"})
    training = VLAETraining(plan, corpus)

    def write(step: int, scores: dict[str, float]) -> None:
        model = copy.deepcopy(training.averaged).cpu().eval()
        found = judged_parts(model, training.validation_batches(), plan.free_nats)
        tell({"words": "  ".join(f"{name} {value:.3f}" for name, value in found.items())})
        save_explained(folder.model, model, _card(model, plan, corpus, step, {**scores, **found}), corpus)
        if sample_s and plan.latents:
            stem = folder.at / "samples" / f"step-{step:07d}"
            write_sounds(_examples(model, corpus, sample_s), plan.rate, stem)

    fit(training, folder, machine, write, tell)


@torch.no_grad()
def judged_parts(model: VLAE, judged: ValidationBatch, free_nats: float) -> dict[str, float]:
    """Return bits per sample, the latents' cost per sample, and how many cost more than the free bits."""
    torch.manual_seed(0)
    parts = [(dissect(model, batch), batch.scored) for batch in judged]
    kl = torch.stack([kl_per_dimension(part.kl) for part, _ in parts]).mean(0)
    return {
        "bits": float(np.mean([part.bits[scored].mean().item() for part, scored in parts])),
        "kl": kl.sum().item() / (math.log(2) * model.shape.hop),
        "units": int((kl > free_nats).sum()),
    }


def save_explained(path: Path, model: VLAE, card: Card, corpus: Corpus) -> None:
    """Write a model whose latents are arranged and named, with what is known of them."""
    if model.shape.latents:
        card = explained(
            card, lambda recording: encoded(model, sound(recording))[0], functools.partial(arrange, model), corpus
        )
    save(path, model, card)


def _examples(model: VLAE, corpus: Corpus, seconds: float) -> dict[str, Audio]:
    """Return the beginning of a held-out recording per speaker, said again."""
    frames = round(seconds * corpus.rate)
    return {
        speaker: resynthesised(model, sound(recording, 0, frames), corpus.speakers.index(speaker))
        for speaker, recording in corpus.examples.items()
    }


def _card(model: VLAE, plan: VLAEPlan, corpus: Corpus, step: int, scores: dict[str, float]) -> Card:
    return Card(
        plan.rate,
        hop=model.shape.hop,
        delay=model.delay,
        speakers=corpus.speakers,
        data=corpus.sources,
        licence=corpus.licence,
        steps=step,
        scores=scores,
        notes={"free_nats": plan.free_nats},
    )
