"""What the residual network of `anyone` learns from: what one speaker says, and how another's envelopes then are.

Pairs are of two kinds. Synthetic speakers of `offline.data.crowd` say the same lines frame by frame aligned: the
content and detail of one, the envelopes of another. Real people are paired with themselves, their spectra moved up or
down in frequency, so that they count as other speakers; the detail of their own envelopes would give away too much, so
it is mostly left out. A target is enrolled from frames that are not in the pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gramophone.models.layers.mel import hz_to_mel
from gramophone.models.nets.anyone import Anyone, residual_inputs
from gramophone.models.nets.enrolment import EnrolmentError, Speech, map_inputs
from gramophone.models.units import POINTS
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.realtime.stages.voice.clip import speech_in

_MOVED_OCTAVES = (0.0, -0.13, 0.13)
"""How far spectra of real people are moved."""
_CLIP_S, _CLIPS = 20.0, 4
_MOST = 4.0
_LEAST_LEVEL, _DECAY = 1e-5, 0.0012
_NOISE = 0.2
"""Spread of the noise on half of the content, in content's own."""
_FAINT = 0.05
"""Weight of frames that are not audible."""
_DETAIL = {True: (0.2, 0.4), False: (0.4, 0.1)}
"""By whether a pair is aligned: shares of pairs without detail, and with all of it; the rest has it where unvoiced."""


@dataclass(frozen=True)
class EnrolledClip:
    """A speaker as enrolled from some frames: statistics of content and envelopes, maps, and the frames left."""

    content: tuple[Tensor, Tensor]
    envelope: tuple[Tensor, Tensor]
    maps: Tensor
    rest: tuple[int, int]


@dataclass(frozen=True)
class PairSpeaker:
    """A speaker's frames, their levels `(n,)` in nats below the loudest of late, and clips to know them by."""

    speech: Speech
    levels: Tensor
    clips: tuple[EnrolledClip, ...]


@dataclass(frozen=True)
class PairBatch:
    """Inputs of the residual network `(B, n, I)`, what the map gives and what was said `(B, n, E)`, weights `(B, n)`.

    Envelopes are in the target's spreads.
    """

    inputs: Tensor
    mapped: Tensor
    wanted: Tensor
    weights: Tensor


def measured_speaker(model: Anyone, sounds: Sequence[Sound], aligned: bool) -> list[PairSpeaker]:
    """Return a speaker of recordings at 16 kHz; of one that is not `aligned` with others, copies moved in frequency.

    An aligned one is enrolled without one of the recordings, another one from clips of 20 s or of half of it all.
    """
    hop = model.shape.hop
    whole = [sound[: len(sound) // hop * hop] for sound in sounds]
    joined = np.concatenate(whole)
    speech = speech_in(model, joined)
    levels = levels_of(np.square(joined.reshape(-1, hop)).mean(1))
    ends = np.cumsum([len(sound) // hop for sound in whole])
    if aligned:
        spans = list(zip([0, *ends[:-1]], ends, strict=True))
        return [PairSpeaker(speech, levels, tuple(_enrolled(model, speech, spans, outside=True)))]
    frames, size = len(levels), min(round(_CLIP_S * RATE / hop), len(levels) // 2)
    count = min(_CLIPS, max(frames // size, 1))
    starts = [round(index * (frames - size) / max(count - 1, 1)) for index in range(count)]
    found = []
    for octaves in _MOVED_OCTAVES:
        moved = Speech(speech.content, moved_in_frequency(speech.envelopes, octaves), speech.octaves, speech.audible)
        clips = _enrolled(model, moved, [(start, start + size) for start in starts], outside=False)
        found.append(PairSpeaker(moved, levels, tuple(clips)))
    return found


def _enrolled(model: Anyone, speech: Speech, spans: Sequence[tuple[int, int]], outside: bool) -> Iterator[EnrolledClip]:
    """Yield a clip for each span of frames, or for all that is `outside` it; those with hardly any speech are left."""
    frames = torch.arange(len(speech.content))
    for start, end in spans:
        inside = (frames >= start) & (frames < end)
        chosen = ~inside if outside else inside
        part = Speech(*(getattr(speech, name)[chosen] for name in Speech.__dataclass_fields__))
        rest = (start, end) if outside else ((0, start) if start > len(frames) - end else (end, len(frames)))
        try:
            speaker = model.enrolled(part)
        except EnrolmentError:
            continue
        yield EnrolledClip(
            (speaker.content_mean, speaker.content_spread),
            (speaker.envelope_mean, speaker.envelope_spread),
            model.voice(speaker).maps / speaker.envelope_spread,
            rest,
        )


def levels_of(powers: np.ndarray) -> Tensor:
    """Return levels `(n,)` in nats below the loudest of late, of frames with mean squares `(n,)`."""
    levels = np.log(np.maximum(np.sqrt(powers), _LEAST_LEVEL))
    loudest, found = -math.inf, np.empty(len(levels), np.float32)
    for index, level in enumerate(levels):
        loudest = max(loudest - _DECAY, level)
        found[index] = level - loudest
    return torch.from_numpy(found)


def moved_in_frequency(envelopes: Tensor, octaves: float) -> Tensor:
    """Return envelopes `(n, POINTS + 1)` with the points moved up by some octaves and without level."""
    if not octaves:
        return envelopes
    hz = torch.linspace(0, RATE / 2, 4097, dtype=torch.float64)
    mel = hz_to_mel(hz).numpy()
    points = np.linspace(0, mel[-1], POINTS)
    from_hz = np.minimum(np.interp(points, mel, hz.numpy()) * 2**-octaves, RATE / 2)
    place = np.interp(from_hz, hz.numpy(), mel) / mel[-1] * (POINTS - 1)
    below = np.minimum(place.astype(int), POINTS - 2)
    share = torch.from_numpy(place - below).float()
    moved = envelopes[:, below] * (1 - share) + envelopes[:, below + 1] * share
    return torch.cat([moved - moved.mean(1, keepdim=True), envelopes[:, POINTS:]], 1)


class Pairs:
    """Crops of pairs: `aligned` are groups of speakers who say the same, `people` a person's copies each."""

    def __init__(
        self,
        model: Anyone,
        aligned: Sequence[Sequence[PairSpeaker]],
        people: Sequence[Sequence[PairSpeaker]],
        seed: int,
    ) -> None:
        self._model, self._aligned, self._people = model, aligned, people
        self._chance = np.random.default_rng(seed)
        weights = np.array([math.sqrt(len(own[0].levels)) for own in people])
        self._shares = weights / weights.sum()

    def batch(self, size: int, frames: int, plain: bool = False) -> PairBatch:
        """Return so many crops of `frames`, half of either kind; `plain` without noise, and with detail if unvoiced."""
        crops = [self._crop(index % 2 == 0, frames, plain) for index in range(size)]
        return PairBatch(*(torch.stack(part) for part in zip(*crops, strict=True)))

    def _crop(self, aligned: bool, frames: int, plain: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        while True:
            source, target, heard, known = self._pair(aligned)
            first, last = known.rest
            last = min(last, len(source.levels), len(target.levels))
            if last - first > frames:
                break
        start = int(self._chance.integers(first, last - frames))
        here = slice(start, start + frames)
        lead = min(start, -min(self._model.shape.context))
        content = (source.speech.content[start - lead : here.stop] - heard.content[0]) / heard.content[1]
        if not plain and self._chance.random() < 0.5:
            content = content + _NOISE * torch.randn_like(content)
        voiced = source.speech.voiced
        inputs = map_inputs(content, voiced[start - lead : here.stop], self._model.shape.context)[lead:]
        mean, spread = (part[:POINTS] for part in heard.envelope)
        shape = (source.speech.envelopes[here, :POINTS] - mean) / spread
        detail = (shape - inputs @ self._model.universal[:, :POINTS]).clamp(-_MOST, _MOST)
        detail = detail * self._detail_share(aligned, voiced[here], plain)[:, None]
        mapped = inputs @ self._map(known, plain)
        wanted = (target.speech.envelopes[here] - known.envelope[0]) / known.envelope[1]
        audible = source.speech.audible[here] & target.speech.audible[here]
        network = residual_inputs(content[lead:], voiced[here], source.levels[here], detail, mapped)
        return network, mapped, wanted, torch.where(audible, 1.0, _FAINT)

    def _pair(self, aligned: bool) -> tuple[PairSpeaker, PairSpeaker, EnrolledClip, EnrolledClip]:
        """Draw a source and a target, and the clip that each is known by."""
        draw = self._chance
        if aligned:
            group = self._aligned[int(draw.integers(len(self._aligned)))]
            source, target = (group[index] for index in draw.choice(len(group), 2, replace=False))
            number = int(draw.integers(min(len(source.clips), len(target.clips))))
            return source, target, source.clips[number], target.clips[number]
        own = self._people[draw.choice(len(self._people), p=self._shares)]
        source, target = (own[index] for index in draw.integers(len(own), size=2))
        heard, known = (one.clips[draw.integers(len(one.clips))] for one in (source, target))
        return source, target, heard, known

    def _detail_share(self, aligned: bool, voiced: Tensor, plain: bool) -> Tensor:
        """Return by how much detail is multiplied, `(n,)`."""
        without, everywhere = _DETAIL[aligned]
        drawn = 0.5 if plain else self._chance.random()
        if not plain and drawn < without:
            return torch.zeros_like(voiced)
        return torch.ones_like(voiced) if not plain and drawn > 1 - everywhere else 1 - voiced

    def _map(self, known: EnrolledClip, plain: bool) -> Tensor:
        """Return a map between two of the shrinkages at random, or the middle one."""
        levels = len(known.maps) - 1
        place = levels / 2 if plain else float(self._chance.uniform(0.3, 1.0)) * levels
        below = min(int(place), levels - 1)
        mixed: Tensor = torch.lerp(known.maps[below], known.maps[below + 1], place - below)
        return mixed
