"""A voice in training: reconstruction from latents, pitch and loudness, with the speaker kept out of the latents.

The total loss is a sum of terms (`losses`), weighted by the plan:

- the bound of a VAE: a multi-resolution spectral loss, and the KL term (`kl`);
- perturbation consistency (`consistency`): latents of randomly perturbed frames (`perturbation`) match plain ones;
- the speaker adversary (`adversary`): latents that a classifier cannot tell speakers by (Tzeng et al. 2015). Off by
  default: at 0.2, with a speaker classifier that also trained the encoder, the latents lost all content;
- the phone cross-entropy of the latents (`latent_phones`), with a phone classifier's output as target;
- the conversion loss (`conversion`): a speaker classifier takes converted sound for the target (Li et al. 2021);
- cycle consistency (`cycle`): latents encoded from converted sound match the original ones (Zhu et al. 2017), and so do
  the phones recognised in it (`conversion_phones`).

Beside these, the encoder's input is normalised by speaker statistics, instruments are decoded from other examples'
latents, and some input is converted by the voice itself first (`batches`). Conversion terms train the decoder alone
(stop-gradient on latents and encoder): with latents that learnt from them, all content was lost in the end.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gramophone.models.nets.phone_classifier import PHONES
from gramophone.models.nets.vae import Bound, gaussian
from gramophone.models.nets.voice import Voice
from gramophone.offline.data.corpus import Corpus
from gramophone.offline.data.recording import Recording
from gramophone.offline.train.crops import Batch, Cutter, TrainingCrops, ValidationBatch
from gramophone.offline.train.module import Training
from gramophone.offline.train.perturbation import perturbed
from gramophone.offline.train.pitch_cache import prosody
from gramophone.offline.train.voice.batches import VoiceBatch, VoiceBatches, chosen
from gramophone.offline.train.voice.losses import (
    conversion_loss,
    cycle_consistency,
    perturbation_consistency,
    phone_cross_entropy,
    speaker_adversary,
    spectral_kl_bound,
    trained_phone_classifier,
)
from gramophone.offline.train.voice.modules import VoiceNetworks, with_frozen_weights, with_present_names
from gramophone.offline.train.voice.passes import (
    NOISE_POSITIONS,
    envelopes_of,
    normalised,
    normalised_by_mean_speaker,
    posterior_of,
)
from gramophone.offline.train.voice.plan import VoicePlan
from gramophone.offline.train.voice.speaker_statistics import start_from, statistics_of

VALIDATION_CROPS = 8
"""Held-out crops per speaker."""
_BORROWED_SHARE = 0.7
"""Share of instruments' crops decoded from another example's latents."""


class VoiceTraining(Training):
    """A voice in training on a corpus; the loss is a spectral distance per frame."""

    plan: VoicePlan
    net: VoiceNetworks

    def __init__(self, plan: VoicePlan, corpus: Corpus) -> None:
        torch.manual_seed(plan.seed)
        net = VoiceNetworks(plan.shape(len(corpus.speakers)))
        series = functools.cache(lambda recording: prosody(recording, plan.rate, plan.hop))
        statistics = statistics_of(net.voice, corpus, series)
        silent = torch.tensor([speaker in plan.instruments for speaker in corpus.speakers])
        parallel = torch.tensor([speaker in plan.spoken for speaker in corpus.speakers])
        if plan.start:
            start_from(net.voice, Path(plan.start), corpus.speakers)
        net.voice.encoder.normalisation.mean_speaker.copy_(statistics.moments[~silent].mean(0))
        super().__init__(net, plan)
        self._corpus, self._silent = corpus, silent
        self.statistics = statistics
        self.batches = VoiceBatches(plan, statistics, silent, parallel)
        self._phone_logits = trained_phone_classifier(plan)
        self._cutter = Cutter(corpus.speakers, plan.crop, 0, plan.hop, series=series, after=net.voice.delay)

    @property
    def validation_names(self) -> tuple[str, ...]:
        """The speakers that have held-out recordings."""
        return tuple(self._corpus.examples)

    @property
    def voice(self) -> Voice:
        """The voice with averaged weights."""
        return cast(VoiceNetworks, self.averaged).voice

    @property
    def median_hz(self) -> dict[str, float]:
        """The speakers' median pitch in Hz, by name."""
        hz = (round(one, 1) for one in self.statistics.median_hz())
        return dict(zip(self._corpus.speakers, hz, strict=True))

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the loss per frame: in validation the bound of plain input, in training all terms."""
        networks = cast(VoiceNetworks, net)
        voice, prepared = networks.voice, self.batches.prepared(networks.voice, batch, self.training)
        plain = posterior_of(voice, prepared.normalised)
        position = torch.zeros(len(batch.sound), 1, dtype=torch.int64, device=batch.sound.device)
        if not self.training:
            envelopes = envelopes_of(voice, plain.mean, prepared.speaker, prepared.prosody)
            return self._per_frame(
                spectral_kl_bound(voice, prepared.target, prepared.prosody, plain, plain.mean, envelopes, position)
            )
        shape = voice.shape
        posterior = posterior_of(voice, perturbed(prepared.encoder_input, shape.bands, shape.rate, self.plan.formants))
        z = posterior.rsample()
        # Converted input is less intelligible than recordings: the encoder does not learn from it.
        z = torch.where(prepared.back_converted[:, None, None], z.detach(), z)
        silent = self._silent.to(z.device)[batch.speaker]
        borrowed = silent & chosen(batch, _BORROWED_SHARE)
        content = torch.where(borrowed[:, None, None], z.roll(1, 0).detach(), z)
        envelopes = envelopes_of(voice, content, prepared.speaker, prepared.prosody)
        position = position.random_(NOISE_POSITIONS)
        bound = spectral_kl_bound(voice, prepared.target, prepared.prosody, posterior, content, envelopes, position)
        phones = self._phones(prepared.normalised)[:, :, voice.encoder.delay :]
        people, speaker = ~silent, batch.source_speaker
        return (
            self._per_frame(bound)
            + self.plan.consistency * perturbation_consistency(posterior.mean, plain.mean)
            + speaker_adversary(
                networks.latent_classifier,
                plain.mean[people],
                speaker[people],
                ~self._silent.to(z.device),
                self.plan.adversary,
            )
            + self.plan.latent_phones * phone_cross_entropy(networks.phone_head(z), phones, people)
            + self._conversion(networks, prepared, plain.mean.detach(), phones, speaker)
        )

    def _per_frame(self, bound: Bound) -> Tensor:
        """Return the loss of a bound per frame."""
        return bound.loss(self.plan.kl) / bound.z.shape[2]

    @torch.no_grad()
    def _phones(self, frames: Tensor) -> Tensor:
        """Return the probabilities of `PHONES` in normalised frames, `[B, phones, n]`; zeros without a classifier."""
        if self._phone_logits is None:
            return frames.new_zeros(frames.shape[0], len(PHONES), frames.shape[2])
        return self._phone_logits(frames).softmax(1)

    def _conversion(
        self, networks: VoiceNetworks, prepared: VoiceBatch, z: Tensor, phones: Tensor, speaker: Tensor
    ) -> Tensor:
        """Return the terms of people's speech converted to other speakers; instruments as targets keep no content.

        Args:
            networks: the voice and its classifiers.
            prepared: the batch.
            z: detached latents, `[B, latents, n]`.
            phones: probabilities of the phones in the input, `[B, phones, n]`.
            speaker: the source speakers, `[B]`.
        """
        voice, count = networks.voice, networks.voice.shape.speakers
        silent = self._silent.to(z.device)
        people = ~silent[speaker]
        if count < 2 or int(people.sum()) < 2:
            return z.new_zeros(())
        source = speaker[people]
        target = (source + torch.randint(1, count, source.shape, device=z.device)) % count
        frames = self.batches.converted_frames(voice, z[people], prepared.prosody[people], source, target)
        learnt, converted = conversion_loss(
            networks.speaker_classifier,
            normalised_by_mean_speaker(voice, prepared.frames),
            speaker,
            normalised_by_mean_speaker(voice, frames),
            source,
            target,
        )
        speaks = ~silent[target]
        if not speaks.any():
            return learnt + self.plan.conversion * converted
        state = self.batches.speaker_state(voice, frames[speaks], target[speaks])
        recoded = normalised(voice, frames[speaks], state)
        content = self.content_loss(voice, recoded, z[people][speaks], phones[people][speaks])
        return learnt + self.plan.conversion * converted + content * speaks.float().mean()

    def content_loss(self, voice: Voice, frames: Tensor, z: Tensor, phones: Tensor) -> Tensor:
        """Return cycle consistency and phone cross-entropy of converted sound; the look-ahead's frames are left out.

        Args:
            voice: the voice; its encoder's weights receive no gradient.
            frames: normalised frames of the converted sound, `[B, channels, n]`.
            z: the latents that it was decoded from, `[B, latents, n]`.
            phones: target probabilities, `[B, phones, n]`.
        """
        late = voice.encoder.delay
        z, phones = z[:, :, :-late] if late else z, phones[:, :, :-late] if late else phones
        recovered = gaussian(with_frozen_weights(voice.encoder.layers, frames)[0][:, :, late:].float()).mean
        cycle = self.plan.cycle * cycle_consistency(recovered, z)
        if self._phone_logits is None:
            return cycle
        return cycle + self.plan.conversion_phones * phone_cross_entropy(
            self._phone_logits(frames)[:, :, late:], phones
        )

    def crops(self, rank: int, processes: int) -> Dataset[Batch]:
        """Return crops of the training recordings; the source of a parallel one is any speaker's of the same name."""
        together: defaultdict[str, list[Recording]] = defaultdict(list)
        for recording in self._corpus.training:
            if recording.speaker in self.plan.spoken:
                together[recording.name].append(recording)

        def parallel(recording: Recording) -> Sequence[Recording]:
            return together[recording.name] if recording.speaker in self.plan.spoken else ()

        drawn = self._corpus.training, self._cutter
        return TrainingCrops(*drawn, self.plan.batch, self.plan.seed, rank, processes, parallel)

    def validation_batches(self) -> ValidationBatch:
        """Return crops of the held-out recordings, a batch per speaker."""
        return ValidationBatch(self._corpus.held_out, self._cutter, VALIDATION_CROPS)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Accept states written before the networks had their present names."""
        super().on_load_checkpoint(checkpoint)
        checkpoint["state_dict"] = with_present_names(checkpoint["state_dict"])
