"""Anybody's voice: the content encoder, what it has learnt of many speakers' envelopes, and voices that it knows.

A voice is a map from content to spectral envelopes in closed form (`models.nets.enrolment`), a few of them: shrunk to
the universal map from hardly to nearly, so that likeness can be turned while it plays. A new target speaker is enrolled
from a clip in the same way and is no different from a voice that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from gramophone.models.layers.composition import Sequential
from gramophone.models.nets.content import ContentEncoder, ContentShape, causal_trunk, content_of
from gramophone.models.nets.enrolment import Enrolment, Speech, Usual, enrolled, speaker_map, variance_gains
from gramophone.models.nets.speech_envelope import speech_envelopes
from gramophone.models.units import POINTS

_CENTROIDS = 2
"""Centroids are not used by the map."""
_AUDIBLE = 4.0
"""Nats below the loudest frames, of which one in twenty is louder, that count as speech: 35 dB."""


@dataclass(frozen=True)
class AnyoneShape(ContentShape):
    """A content encoder's shape, and the map's: `context` frames, relative to each, that an envelope follows.

    `shrinkages` are those that every voice has a map for, most first; `voices` the number of known ones.
    The residual network is of `residual_width`, or there is none; so is what is known of how speakers' maps differ.
    """

    context: tuple[int, ...] = (-9, -6, -3, 0)
    shrinkages: tuple[float, ...] = (1e4, 1e3, 1e2)
    has_covariance: bool = False
    voices: int = 0
    residual_width: int = 0
    residual_dilations: tuple[int, ...] = (1, 2, 4, 8)

    @property
    def encoder(self) -> ContentShape:
        """The shape of the content encoder."""
        return ContentShape(**{own.name: getattr(self, own.name) for own in fields(ContentShape)})

    @property
    def inputs(self) -> int:
        """Inputs of the map: content around a frame, whether it is voiced, and 1."""
        return len(self.context) * self.content + 2

    @property
    def residual_inputs(self) -> int:
        """Inputs of the residual network (`residual_inputs`)."""
        return self.content + 2 + POINTS + self.envelope

    @property
    def envelope(self) -> int:
        """Numbers of an envelope: its points, and the breath."""
        return POINTS + 1


@dataclass(frozen=True)
class VoiceMap:
    """All that is needed to speak as somebody.

    `octaves` `(2,)` are the mean and spread of pitch in octaves above 1 Hz, `mean` `(E,)` and `spread` `(E,)` those of
    envelopes, `maps` `(L, K, E)` the maps to deviations from the mean, one for each shrinkage.
    """

    octaves: Tensor
    mean: Tensor
    spread: Tensor
    maps: Tensor


class Anyone(nn.Module):
    """The encoder, the statistics of its content, the universal map, the residual network, and the known voices.

    A map is linear and hears four frames; `residual`, `(B, residual_inputs, n)` -> `(B, envelope, n)`, adds what a
    network that learnt of many speakers knows besides, for any target. Like all regression it smooths: their sum
    is multiplied by `residual_gains` `(envelope,)`, or it would vary less than the target does.
    `level_map` `(inputs,)` says the level of frames about its mean, in nats, from the map's inputs. `map_covariance`
    `(inputs, inputs)` is how speakers' maps lie around the universal one.
    """

    content_moments: Tensor
    envelope_moments: Tensor
    universal: Tensor
    map_covariance: Tensor | None
    residual_gains: Tensor
    level_map: Tensor
    voice_octaves: Tensor
    voice_means: Tensor
    voice_spreads: Tensor
    voice_maps: Tensor

    def __init__(self, shape: AnyoneShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = ContentEncoder(shape.encoder)
        self.register_buffer("content_moments", torch.stack([torch.zeros(shape.content), torch.ones(shape.content)]))
        self.register_buffer("envelope_moments", torch.stack([torch.zeros(shape.envelope), torch.ones(shape.envelope)]))
        self.residual: Sequential | None = None
        if shape.residual_width:
            widths = shape.residual_inputs, shape.residual_width, shape.residual_dilations, shape.envelope
            self.residual = causal_trunk(*widths)
            self.register_buffer("residual_gains", torch.ones(shape.envelope))
            self.register_buffer("level_map", torch.zeros(shape.inputs))
        self.register_buffer("universal", torch.zeros(shape.inputs, shape.envelope))
        self.register_buffer("map_covariance", torch.eye(shape.inputs) if shape.has_covariance else None)
        self.register_buffer("voice_octaves", torch.zeros(shape.voices, 2))
        self.register_buffer("voice_means", torch.zeros(shape.voices, shape.envelope))
        self.register_buffer("voice_spreads", torch.ones(shape.voices, shape.envelope))
        maps = torch.zeros(shape.voices, len(shape.shrinkages), shape.inputs, shape.envelope)
        self.register_buffer("voice_maps", maps.half())

    def known(self, index: int) -> VoiceMap:
        """Return one of the known voices."""
        return VoiceMap(
            self.voice_octaves[index],
            self.voice_means[index],
            self.voice_spreads[index],
            self.voice_maps[index].float(),
        )

    def set_known(self, voices: Sequence[VoiceMap]) -> None:
        """Take over voices as those that are known."""
        self.voice_octaves.copy_(torch.stack([voice.octaves for voice in voices]))
        self.voice_means.copy_(torch.stack([voice.mean for voice in voices]))
        self.voice_spreads.copy_(torch.stack([voice.spread for voice in voices]))
        self.voice_maps.copy_(torch.stack([voice.maps for voice in voices]))

    @property
    def usual(self) -> Usual:
        """What speakers usually are."""
        return Usual(self.content_moments, self.envelope_moments, self.universal)

    def enrolled(self, speech: Speech) -> Enrolment:
        """Return a speaker from what is measured in a clip.

        Raises:
            EnrolmentError: there is hardly any speech in it.
        """
        return enrolled(speech, self.shape.context, _CENTROIDS, self.usual)

    def voice(self, speaker: Enrolment) -> VoiceMap:
        """Return a speaker's voice."""
        maps = []
        for shrinkage in self.shape.shrinkages:
            weights = speaker_map(speaker, self.universal, shrinkage, self.map_covariance)
            maps.append(weights * variance_gains(speaker, weights) * speaker.envelope_spread)
        return VoiceMap(speaker.octaves, speaker.envelope_mean, speaker.envelope_spread, torch.stack(maps))

    @torch.no_grad()
    def speech(self, sound: Tensor, hz: Tensor) -> Speech:
        """Return what is measured in a clip `(T,)` whose pitch is known, `(T / hop,)`, 0 where nothing is voiced."""
        return speech_of(self.encoder, sound, hz)


def residual_inputs(content: Tensor, voiced: Tensor, level: Tensor, detail: Tensor, mapped: Tensor) -> Tensor:
    """Return what the residual network takes, `(..., n, residual_inputs)`.

    Normalised `content` `(..., n, D)`; `voiced` `(..., n)`, 0 or 1; `level` `(..., n)`, nats below the loudest of late;
    the source's `detail` `(..., n, POINTS)`, by how many spreads its envelope differs from what the universal map makes
    of the content; the target's envelope by its own map, normalised, `mapped` `(..., n, E)`.
    """
    return torch.cat([content, voiced[..., None], scaled_level(level)[..., None], detail, mapped], -1)


def scaled_level(level: Tensor) -> Tensor:
    """Return a level in nats below the loudest of late as the residual network takes it, -3 to 0.5."""
    return (level / 2 + 0.5).clamp_min(-3.0)


@torch.no_grad()
def speech_of(encoder: ContentEncoder, sound: Tensor, hz: Tensor) -> Speech:
    """Return what is measured in a sound `(T,)` by its pitch in Hz `(T / hop,)`, 0 where nothing is voiced.

    Envelopes have no level: the mean of their points is 0.
    """
    shape = encoder.shape
    whole = sound[: len(hz) * shape.hop]
    content = content_of(encoder, whole)
    envelopes = speech_envelopes(whole, hz, shape.rate, shape.hop)
    points, breath = envelopes[:, :POINTS], envelopes[:, POINTS:]
    level = points.exp().mean(1).log() / 2
    octaves = torch.where(hz > 0, hz.clamp_min(1.0).log2(), torch.full_like(hz, torch.nan))
    shapes = torch.cat([points - points.mean(1, keepdim=True), breath], 1)
    audible = level > level.quantile(0.95) - _AUDIBLE
    return Speech(content, shapes, octaves, audible)
