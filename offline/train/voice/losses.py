"""The losses of a voice, each in the units that its weight in the plan refers to.

`Bound` of `spectral_kl_bound` is the VAE's loss: a spectral loss as likelihood, and the KL term. The others keep the
speaker out of the latents and the content in the converted sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional as F

from gramophone.models.checkpoint import load
from gramophone.models.layers.spectral_loss import Spectra
from gramophone.models.nets.phone_classifier import PhoneClassifier
from gramophone.models.nets.vae import Bound, closed_kl
from gramophone.models.nets.voice import Voice
from gramophone.offline.train.plan import TrainingError
from gramophone.offline.train.voice.modules import LEAST_SPREAD, SpeakerClassifier, with_frozen_weights
from gramophone.offline.train.voice.passes import full_precision, synthesised
from gramophone.offline.train.voice.plan import VoicePlan

PhoneLogits = Callable[[Tensor], Tensor]
"""Normalised frames `[B, channels, n]` -> logits `[B, len(PHONES), n]`."""


def spectral_kl_bound(
    voice: Voice,
    target: Tensor,
    prosody: Tensor,
    posterior: Distribution,
    z: Tensor,
    envelopes: Tensor,
    noise_position: Tensor,
) -> Bound:
    """Return the evidence lower bound whose likelihood is the multi-resolution spectral loss.

    Args:
        voice: the voice that synthesises.
        target: the sound to reconstruct, `[B, 1, T]`.
        prosody: octaves, voicing and loudness, `[B, PROSODY, n]`.
        posterior: the posterior of the latents.
        z: the latents that the envelopes were decoded from, `[B, latents, n]`.
        envelopes: the decoder network's output, `[B, envelopes, n]`.
        noise_position: where each example's noise begins, `[B, 1]`.
    """
    with full_precision(z):
        sound = synthesised(voice, envelopes, prosody, noise_position)
        likelihood = Spectra(sound, z.shape[2]).log_prob(target)
    return Bound(likelihood, closed_kl(posterior, voice.prior(), z), z)


def perturbation_consistency(perturbed: Tensor, plain: Tensor) -> Tensor:
    """Return the smooth L1 distance of latents of perturbed input from those of plain input, `[B, latents, n]`."""
    return F.smooth_l1_loss(perturbed, plain, reduction="none").sum(1).mean()


def speaker_adversary(
    classifier: SpeakerClassifier, z: Tensor, speaker: Tensor, possible: Tensor, weight: float
) -> Tensor:
    """Return the classifier's cross-entropy, and `weight` times the encoder's confusion loss (Tzeng et al. 2015).

    The classifier learns from detached latents. The encoder learns through the frozen classifier to make its output
    uniform over the speakers: the cross-entropy from the uniform distribution, less its least value.

    Args:
        classifier: the adversary.
        z: latents `[B, latents, n]`.
        speaker: the true speakers, `[B]`.
        possible: which speakers occur, `[speakers]`.
        weight: of the encoder's part.
    """
    if len(z) < 2:
        return z.new_zeros(())
    learnt = F.cross_entropy(classifier(z.detach()), speaker)
    log_probability: Tensor = with_frozen_weights(classifier, z)[:, possible].log_softmax(1)
    return learnt + weight * (-log_probability.mean() - math.log(log_probability.shape[1]))


def phone_cross_entropy(logits: Tensor, phones: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return the cross-entropy in nats per frame.

    Args:
        logits: predictions, `[B, phones, n]`.
        phones: target probabilities, `[B, phones, n]`; all zero where unknown.
        counted: which examples count, `[B]`; the others cost 0. All if absent.
    """
    cost = -(phones * logits.log_softmax(1)).sum(1).mean(1)
    return (cost if counted is None else cost * counted).mean()


def cycle_consistency(recovered: Tensor, z: Tensor) -> Tensor:
    """Return the distance of latents encoded from converted sound to the original ones (Zhu et al. 2017).

    Both are `[B, latents, n]`; the smooth L1 distance is in standard deviations of `z`, summed over dimensions.
    """
    spread = z.std((0, 2), keepdim=True) + LEAST_SPREAD
    return F.smooth_l1_loss(recovered / spread, z / spread, reduction="none").sum(1).mean()


def conversion_loss(
    classifier: SpeakerClassifier, own: Tensor, speaker: Tensor, converted: Tensor, source: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the classifier's cross-entropy and the decoder's conversion loss (StarGANv2-VC, Li et al. 2021).

    The classifier learns to find the true speaker of recordings, and the source speaker of converted sound. The decoder
    learns, through the frozen classifier, to make it find the target speaker.

    Args:
        classifier: predicts speakers from frames.
        own: frames of recordings, `[B, channels, n]`.
        speaker: their speakers, `[B]`.
        converted: frames of converted sound, `[P, channels, m]`, `m <= n`.
        source: the speakers they were converted from, `[P]`.
        target: the speakers they were converted to, `[P]`.
    """
    guessed = classifier(torch.cat([own[:, :, : converted.shape[2]], converted.detach()]))
    learnt = F.cross_entropy(guessed, torch.cat([speaker, source]))
    return learnt, F.cross_entropy(with_frozen_weights(classifier, converted), target)


def trained_phone_classifier(plan: VoicePlan) -> PhoneLogits | None:
    """Return the plan's phone classifier, frozen; it takes normalised frames. None if the plan has none.

    Raises:
        TrainingError: its sample rate or hop differ from the plan's.
        CheckpointError: the file is no phone classifier.
    """
    if not plan.phones:
        return None
    classifier, card = load(Path(plan.phones), "phones")
    if (card.rate, card.hop) != (plan.rate, plan.hop):
        raise TrainingError(
            f"{plan.phones}: a phone classifier for {card.rate} Hz and a hop of {card.hop} samples; "
            f"expected the plan's {plan.rate} Hz and {plan.hop}"
        )
    frozen = cast(PhoneClassifier, classifier.eval().requires_grad_(False))

    def logits(frames: Tensor) -> Tensor:
        even = F.pad(frames, (0, frames.shape[2] % 2))
        return cast(Tensor, frozen.to(frames.device)(even)).float()[:, :, : frames.shape[2]]

    return logits
