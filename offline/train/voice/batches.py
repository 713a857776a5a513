"""Batches for a voice: augmentation, speaker normalisation, and the voice's own conversions as input."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.layers.streaming import State
from gramophone.models.nets.voice import Voice
from gramophone.models.units import PROSODY
from gramophone.offline.train.crops import Batch
from gramophone.offline.train.voice.passes import (
    envelopes_of,
    expecting,
    full_precision,
    normalised,
    posterior_of,
    synthesised_frames,
)
from gramophone.offline.train.voice.plan import VoicePlan
from gramophone.offline.train.voice.speaker_statistics import CorpusSpeakerStatistics

_UNVOICED_SHARE = 0.1
"""Share of crops decoded as unvoiced throughout, so that the noise alone must be intelligible."""
_LOUDER, _SOFTER = 0.6, 1.2
"""Largest random gain and attenuation of a crop, in nats."""
_COLD_START_SHARE = 0.15
"""Share of crops for which the normalisation has not yet converged to the speaker's statistics."""
_PITCH_ERROR = 0.1
"""Standard deviation of the pitch of converted speech around the target speaker's median, in octaves."""
_SPEAKER_NOISE = 0.02
"""Standard deviation of the noise on speakers' vectors, so that the decoder generalises around and between them."""


class VoiceBatch(NamedTuple):
    """A batch as the losses need it.

    `target` `[B, 1, T]` is the sound to reconstruct, `speaker` `[B, speaker]` and `prosody` `[B, PROSODY, n]` condition
    the decoder. `frames` `[B, channels, n + look-ahead]` are the source's log-mel frames, `normalised` the same
    normalised by speaker, and `encoder_input` these again, except for the examples of `back_converted` `[B]`, whose
    input the voice converted to another speaker first.
    """

    target: Tensor
    speaker: Tensor
    prosody: Tensor
    encoder_input: Tensor
    frames: Tensor
    normalised: Tensor
    back_converted: Tensor


class VoiceBatches:
    """Makes batches for a voice from crops; `silent` and `parallel` `[speakers]` are instruments and `spoken:NAME`."""

    def __init__(self, plan: VoicePlan, statistics: CorpusSpeakerStatistics, silent: Tensor, parallel: Tensor) -> None:
        self._plan, self._statistics, self._silent, self._parallel = plan, statistics, silent, parallel

    def prepared(self, voice: Voice, batch: Batch, training: bool) -> VoiceBatch:
        """Return a batch of crops as the losses need it; when `training`, augmented at random."""
        target, source = batch.sound[:, :, 1:], batch.source[:, :, 1:]
        pitch, speaker = batch.local, voice.table[batch.speaker]
        if training:
            gain = (torch.rand(len(target), 1, 1, device=target.device) * (_LOUDER + _SOFTER) - _SOFTER).exp()
            target, source = target * gain, source * gain
            speaker = speaker + _SPEAKER_NOISE * torch.randn_like(speaker)
            octaves, voicing = pitch.chunk(2, 1)
            pitch = torch.cat([octaves, voicing * ~chosen(batch, _UNVOICED_SHARE)[:, None, None]], 1)
        with torch.no_grad(), full_precision(target):
            frames, _ = voice.encoder.features(source)
            own = normalised(voice, frames, self._initial_state(voice, frames, batch, training))
            loudness = voice.loudness(target)[0][:, :, voice.encoder.delay :]
        prosody = torch.cat([pitch, loudness], 1)
        converted = self._to_convert(batch, training)
        inputs = self._back_converted(voice, own, prosody, batch.source_speaker, converted)
        return VoiceBatch(target[:, :, : self._plan.crop], speaker, prosody, inputs, frames, own, converted)

    def converted_frames(self, voice: Voice, z: Tensor, prosody: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Return the log-mel frames `[B, channels, n]` of latents decoded as other speakers.

        Args:
            voice: the voice that converts.
            z: latents `[B, latents, n]`.
            prosody: the source's, `[B, PROSODY, n]`; its pitch is moved to about the target's median.
            source: the source speakers, `[B]`.
            target: the target speakers, `[B]`.
        """
        medians = self._statistics.median_octaves.to(z.device)
        rise = medians[target] - medians[source] + _PITCH_ERROR * torch.randn_like(medians[target])
        prosody = prosody + F.pad(rise[:, None, None], (0, 0, 0, PROSODY - 1))
        return synthesised_frames(voice, envelopes_of(voice, z, voice.table[target], prosody), prosody)

    def speaker_state(self, voice: Voice, frames: Tensor, speaker: Tensor) -> State:
        """Return the normalisation's state once converged to each example's speaker `[B]`."""
        return expecting(voice, frames, self._statistics.moments.to(frames)[speaker])

    def _initial_state(self, voice: Voice, frames: Tensor, batch: Batch, training: bool) -> State:
        """Return the converged state of each crop's speaker; when `training`, sometimes that of a cold start."""
        known = self.speaker_state(voice, frames, batch.source_speaker)
        if not training:
            return known
        cold = chosen(batch, _COLD_START_SHARE)[:, None, None]
        new = voice.encoder.normalisation.initial_state(frames)
        return tuple(torch.where(cold, *both) for both in zip(new, known, strict=True))

    def _to_convert(self, batch: Batch, training: bool) -> Tensor:
        """Return which crops' input the voice converts first, `[B]`: some of people's, given parallel speakers."""
        speaker = batch.source_speaker
        if not training or not self._parallel.any():
            return torch.zeros_like(speaker, dtype=torch.bool)
        people = ~(self._silent | self._parallel)
        return people.to(speaker.device)[speaker] & chosen(batch, self._plan.back_conversion)

    @torch.no_grad()
    def _back_converted(self, voice: Voice, frames: Tensor, prosody: Tensor, speaker: Tensor, which: Tensor) -> Tensor:
        """Return normalised frames, those of the examples `which` `[B]` converted to a parallel speaker.

        From converted input the decoder learns to reconstruct the original, as in back-translation (Sennrich et al.
        2016).
        """
        if not which.any():
            return frames
        source, targets = speaker[which], self._parallel.nonzero()[:, 0].to(speaker.device)
        target = targets[torch.randint(len(targets), source.shape, device=targets.device)]
        z = posterior_of(voice, frames[which]).mean
        converted = self.converted_frames(voice, z, prosody[which], source, target)
        converted = F.pad(converted, (0, voice.encoder.delay), mode="replicate")
        mixed = frames.clone()
        mixed[which] = normalised(voice, converted, self.speaker_state(voice, converted, target))
        return mixed


def chosen(batch: Batch, share: float) -> Tensor:
    """Return which crops are chosen at random, `[B]`, each with the probability `share`."""
    return torch.rand(len(batch.speaker), device=batch.speaker.device) < share
