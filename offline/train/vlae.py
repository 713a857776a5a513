"""A VLAE of sound in training: bits per sample plus KL, on crops encoded with their surroundings.

Against posterior collapse: KL warm-up, free bits, and noise on the decoder's input. The first latents are guided: each
one's mean regresses on a descriptor (`DESCRIPTORS`), so that it controls it. The bound holds for any encoder, so it is
still a bound.
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
from gramophone.offline.train.crops import Batch, Cutter, Series, ValidationBatch
from gramophone.offline.train.latent_names import explained
from gramophone.offline.train.module import Training
from gramophone.offline.train.plans import VLAEPlan
from gramophone.offline.train.run import Machine, Tell, fit, gathered
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.samples import write_sounds
from gramophone.offline.train.shard_crops import training_crops
from gramophone.offline.train.vlae_resynthesis import encoded, resynthesised
from gramophone.offline.train.wavenet import VALIDATION_CROPS, bits_along
from gramophone.realtime.stage import Audio

_CONTEXT_FRAMES = 32
"""Frames of context before a crop for the encoder."""


class Parts(NamedTuple):
    """The terms of the bound on a batch: `bits` `(B, T)` per sample, `kl` `(B, D, n)` in nats, `means` `(B, D, n)`."""

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
            before=_CONTEXT_FRAMES * hop,
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
        """Return bits per scored sample plus KL; in training, the KL weighted, with free bits and the guides' error."""
        model = cast(VLAE, net)
        parts = dissect(model, batch)
        bits, kl = parts.bits[batch.scored].mean(), kl_per_dimension(parts.kl)
        per_sample = 1 / (math.log(2) * model.shape.hop)
        if not self.training:
            return bits + kl.sum() * per_sample
        cost = self.plan.weight(self.global_step) * kl.clamp_min(self.plan.free_nats).sum() * per_sample
        return bits + cost + (self.plan.guide * guide_error(parts.means, batch.local) if self.plan.guided else 0)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log the averaged network's loss on one validation batch, with the same random latents every time."""
        torch.manual_seed(index)
        super().validation_step(batch, index)

    def crops(self, rank: int, processes: int) -> Dataset[Batch]:
        """Return crops of the recordings that may be trained on."""
        return training_crops(self._corpus, self._cutter, self.plan.batch, self.plan.seed, rank, processes)

    def validation_batches(self) -> ValidationBatch:
        """Return crops of the held-out recordings, a batch per speaker."""
        return ValidationBatch(self._corpus.held_out, self._cutter, VALIDATION_CROPS)


def dissect(model: VLAE, batch: Batch) -> Parts:
    """Return the terms of the bound on a batch, from one sample of the latents."""
    shape = model.shape
    length = batch.scored.shape[1]
    frames, before = length // shape.hop, _CONTEXT_FRAMES * shape.hop
    with torch.autocast(batch.sound.device.type, enabled=False):  # few numbers, sensitive to rounding
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
    """Return the conditioning on the speakers of indices `(B,)`."""
    return [F.one_hot(places, model.shape.speakers).to(model.origin)] if model.shape.speakers else []


def guide_error(means: Tensor, guides: Tensor) -> Tensor:
    """Return the mean square error of the first latents' means from their guides, summed over guides; without NaN."""
    known = ~guides.isnan()
    error = (means[:, : guides.shape[1]] - guides.nan_to_num()) * known
    return error.square().sum() / known.sum().clamp_min(1) * guides.shape[1]


def guides(corpus: Corpus, hop: int) -> Series:
    """Return the descriptors of a recording, each of mean 0 and variance 1 over the training recordings."""
    known = {recording.sound: kept_descriptors(recording, corpus.rate, hop) for recording in corpus.recordings}
    everything = np.concatenate([known[recording.sound] for recording in corpus.training])
    mean, spread = np.nanmean(everything, axis=0), np.nanstd(everything, axis=0)
    return lambda recording: (known[recording.sound] - mean) / np.maximum(spread, 1e-6)


def train_vlae(plan: VLAEPlan, folder: RunFolder, machine: Machine, sample_s: float, tell: Tell) -> None:
    """Train a VLAE, or resume its run; the model is written to the folder at each validation and at the end.

    The arguments are those of `train_wavenet`.

    Raises:
        DataError: there are no usable recordings.
        TrainingError: the folder holds a run of another plan, the plan does not fit, or the loss is not finite.
    """
    corpus = gathered(plan, folder, tell)
    if plan.guided:
        tell({"words": "measuring loudness, pitch and the other descriptors"})
    training = VLAETraining(plan, corpus)

    def write(step: int, scores: dict[str, float]) -> None:
        model = copy.deepcopy(training.averaged).cpu().eval()
        found = validation_parts(model, training.validation_batches(), plan.free_nats)
        tell({"words": "  ".join(f"{name} {value:.3f}" for name, value in found.items())})
        save_explained(folder.model, model, _card(model, plan, corpus, step, {**scores, **found}), corpus)
        if sample_s and plan.latents:
            stem = folder.at / "samples" / f"step-{step:07d}"
            write_sounds(_examples(model, corpus, sample_s), plan.rate, stem)

    fit(training, folder, machine, write, tell)


@torch.no_grad()
def validation_parts(model: VLAE, batches: ValidationBatch, free_nats: float) -> dict[str, float]:
    """Return bits per sample, KL in bits per sample, and the number of latents above the free bits."""
    torch.manual_seed(0)
    parts = [(dissect(model, batch), batch.scored) for batch in batches]
    kl = torch.stack([kl_per_dimension(part.kl) for part, _ in parts]).mean(0)
    return {
        "bits": float(np.mean([part.bits[scored].mean().item() for part, scored in parts])),
        "kl": kl.sum().item() / (math.log(2) * model.shape.hop),
        "units": int((kl > free_nats).sum()),
    }


def save_explained(path: Path, model: VLAE, card: Card, corpus: Corpus) -> None:
    """Order and name a model's latents, and save it."""
    if model.shape.latents:
        card = explained(
            card, lambda recording: encoded(model, sound(recording))[0], functools.partial(arrange, model), corpus
        )
    save(path, model, card)


def _examples(model: VLAE, corpus: Corpus, seconds: float) -> dict[str, Audio]:
    """Return the beginning of a held-out recording per speaker, resynthesised."""
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
