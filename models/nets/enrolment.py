"""A speaker learnt in closed form: from a clip of a few seconds to the map that turns content into their envelopes.

Content (what is said, `models.nets.content`), less its mean and over its spread, is mapped to the spectral envelope,
normalised alike, by ridge regression that is shrunk towards a universal map of many speakers instead of towards zero
(a Gaussian prior with that mean; Hoerl and Kennard 1970). Short clips stay near the universal map, which keeps words;
long ones say more of the speaker by themselves. How the maps of many speakers lie around the universal one says in
which directions a clip is to be believed sooner (empirical Bayes; Efron and Morris 1973). Centroids of content (Lloyd
1982) keep how the speaker says each sound, for a decoder that attends to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_SPREAD = 1e-3
LEAST_FRAMES = 50
_FLOOR = 300.0
"""Frames of zeros that the universal map is shrunk by, or it would not be defined for few speakers."""
_USUAL = 150.0
"""Frames that usual statistics count as: 1.2 s."""
_ROUNDS = 12
_AT_ONCE = 4096
_EVIDENCE = 0.45
"""By how much a frame counts where it is asked how speakers' maps differ: its neighbours say the same, and what maps
leave unexplained is half of the variance."""
_COVARIANCE_ROUNDS, _FIRST_SHRINKAGE = 12, 1000.0


class EnrolmentError(ValueError):
    """A speaker cannot be learnt from a clip; the message says what was found."""


@dataclass(frozen=True)
class Enrolment:
    """A speaker, with content of `D` channels, envelopes of `E` numbers, `K` inputs of the map, `M` centroids.

    Means and spreads of content `(D,)` and envelope `(E,)` are over audible frames, `octaves` `(2,)` are the mean and
    the spread of voiced frames' pitch; `products` `(K, K)` and `projections` `(K, E)` are the sums that ridge
    regression needs, over `frames` `(1,)`; `centroids` `(M, D)` and `centroid_envelopes` `(M, E)` are normalised.
    """

    content_mean: Tensor
    content_spread: Tensor
    envelope_mean: Tensor
    envelope_spread: Tensor
    octaves: Tensor
    products: Tensor
    projections: Tensor
    frames: Tensor
    centroids: Tensor
    centroid_envelopes: Tensor

    def content(self, content: Tensor) -> Tensor:
        """Return content `(n, D)` less this speaker's mean and over their spread."""
        return (content - self.content_mean) / self.content_spread

    def envelopes(self, normalised: Tensor) -> Tensor:
        """Return envelopes `(n, E)` of this speaker from normalised ones."""
        return normalised * self.envelope_spread + self.envelope_mean


@dataclass(frozen=True)
class Speech:
    """What is measured in a clip, frame by frame: content `(n, D)`, envelopes `(n, E)`, pitch `(n,)`, audible `(n,)`.

    Pitch is in octaves, NaN where nothing is voiced; `audible` are booleans.
    """

    content: Tensor
    envelopes: Tensor
    octaves: Tensor
    audible: Tensor

    @property
    def voiced(self) -> Tensor:
        """Return 1 where there is a pitch and 0 elsewhere, `(n,)`."""
        return (~self.octaves.isnan()).to(self.content)


@dataclass(frozen=True)
class Usual:
    """What speakers usually are: mean and spread of content `(2, D)`, of envelopes `(2, E)`; the universal map."""

    content: Tensor
    envelope: Tensor
    universal: Tensor


def enrolled(speech: Speech, context: Sequence[int], centroids: int = 256, usual: Usual | None = None) -> Enrolment:
    """Return a speaker from a clip; `context` are the frames around each, relative to it, that its envelope follows.

    With `usual`, statistics count as those of `_USUAL` frames more, and the mean envelope is corrected for the sounds
    that a short clip happens to have more of than others.

    Raises:
        EnrolmentError: less than `LEAST_FRAMES` are audible, or none is voiced.
    """
    audible, octaves = speech.audible, speech.octaves[~speech.octaves.isnan() & speech.audible]
    if int(audible.sum()) < LEAST_FRAMES or not len(octaves):
        found = f"{int(audible.sum())} audible frames, {len(octaves)} of them voiced"
        raise EnrolmentError(f"{found}: expected speech with at least {LEAST_FRAMES} audible frames")
    content_mean, content_spread = _moments(speech.content[audible], usual.content if usual else None)
    envelope_mean, envelope_spread = _moments(speech.envelopes[audible])
    if usual:
        envelope_spread = _moments(speech.envelopes[audible], torch.stack([envelope_mean, usual.envelope[1]]))[1]
    content = (speech.content - content_mean) / content_spread
    inputs = map_inputs(content, speech.voiced, context)[audible].double()
    if usual:
        envelope_mean = envelope_mean - inputs.mean(0).float() @ usual.universal * envelope_spread
    envelopes = ((speech.envelopes - envelope_mean) / envelope_spread)[audible]
    points, members = _clustered(content[audible], centroids)
    return Enrolment(
        content_mean,
        content_spread,
        envelope_mean,
        envelope_spread,
        torch.stack(_moments(octaves)),
        (inputs.t() @ inputs).float(),
        (inputs.t() @ envelopes.double()).float(),
        audible.sum()[None].float(),
        points,
        _means(envelopes, members, len(points)),
    )


def map_inputs(content: Tensor, voiced: Tensor, context: Sequence[int]) -> Tensor:
    """Return what the map takes, `(n, K)`: normalised content `(n, D)` around each frame, voicing `(n,)` and a one.

    Before the first frame and after the last, those are repeated.
    """
    places = torch.arange(len(content), device=content.device)
    around = [content[(places + offset).clamp(0, len(content) - 1)] for offset in context]
    return torch.cat([*around, voiced[:, None], torch.ones_like(voiced)[:, None]], 1)


def universal_map(speakers: Sequence[Enrolment]) -> Tensor:
    """Return the map `(K, E)` that fits all of some speakers best, each counting alike."""
    products = torch.stack([one.products.double() / one.frames for one in speakers]).mean(0)
    projections = torch.stack([one.projections.double() / one.frames for one in speakers]).mean(0)
    total = sum(float(one.frames) for one in speakers)
    fitted: Tensor = torch.linalg.solve(products + _FLOOR / total * torch.eye(len(products)), projections)
    return fitted.float()


def map_covariance(speakers: Sequence[Enrolment], universal: Tensor) -> Tensor:
    """Return the covariance `(K, K)` of speakers' maps about the universal one between inputs; its mean variance is 1.

    It is taken to be the same for all numbers of the envelope, and makes what was heard of all speakers most likely
    (expectation and maximisation; Dempster, Laird and Rubin 1977).
    """
    size, numbers = universal.shape
    mean = universal.double()
    found = torch.eye(size, dtype=torch.float64) / (_EVIDENCE * _FIRST_SHRINKAGE)
    for _ in range(_COVARIANCE_ROUNDS):
        prior, total = torch.linalg.inv(found), torch.zeros_like(found)
        for one in speakers:
            products, projections = one.products.double(), one.projections.double()
            doubt = torch.linalg.inv(prior + _EVIDENCE * products)
            own = doubt @ (_EVIDENCE * (projections - products @ mean))
            total += doubt + own @ own.t() / numbers
        found = (total + total.t()) / (2 * len(speakers))
    return (found / found.diagonal().mean()).float()


def speaker_map(speaker: Enrolment, universal: Tensor, shrinkage: float, covariance: Tensor | None = None) -> Tensor:
    """Return a speaker's map `(K, E)`: `universal` counts as `shrinkage` frames whose inputs have unit power.

    With the `covariance` of other speakers' maps `(K, K)` it counts as more where they are alike, and as less where
    they differ.
    """
    products, mean = speaker.products.double(), universal.double()
    ways = torch.eye(len(mean), dtype=torch.float64) if covariance is None else covariance.double()
    factor = torch.linalg.cholesky(ways)
    missed = factor.t() @ (speaker.projections.double() - products @ mean)
    system = factor.t() @ products @ factor + shrinkage * torch.eye(len(mean), dtype=torch.float64)
    fitted: Tensor = mean + factor @ torch.linalg.solve(system, missed)
    return fitted.float()


def attend(content: Tensor, speaker: Enrolment, temperature: float) -> Tensor:
    """Return normalised envelopes `(n, E)`: the centroids', weighted by how near their content is to `(n, D)`.

    A distance of `temperature`, in the squared spread per channel, makes a weight e times less.
    """
    pieces = []
    for piece in torch.split(content, _AT_ONCE):
        distance = torch.cdist(piece, speaker.centroids).square() / content.shape[1]
        pieces.append(torch.softmax(-distance / temperature, 1) @ speaker.centroid_envelopes)
    return torch.cat(pieces)


def variance_gains(speaker: Enrolment, weights: Tensor) -> Tensor:
    """Return what a map's outputs are multiplied by to vary as much as the speaker's envelopes do, `(E,)`.

    Regression smooths, and smooth envelopes are dull: the variance is restored over the whole clip (global variance,
    Toda, Black and Tokuda 2007).
    """
    power = (weights.double() * (speaker.products.double() @ weights.double())).sum(0) / speaker.frames.double()
    return power.clamp_min(LEAST_SPREAD).rsqrt().float()


def converted(speech: Speech, source: Enrolment, target: Enrolment, weights: Tensor, context: Sequence[int]) -> Tensor:
    """Return the envelopes `(n, E)` of a target speaker saying what a source says, by the target's map `weights`."""
    normalised = map_inputs(source.content(speech.content), speech.voiced, context) @ weights
    return target.envelopes(normalised * variance_gains(target, weights))


def unexplained(speech: Speech, source: Enrolment, weights: Tensor, context: Sequence[int]) -> Tensor:
    """Return how the source's envelopes differ from those by its own map `weights`, `(n, E)`, 0 where voiced.

    Bursts and hisses say words and little of who speaks, so this is added to what they are converted to.
    """
    mapped = source.envelopes(map_inputs(source.content(speech.content), speech.voiced, context) @ weights)
    return (speech.envelopes - mapped) * (1 - speech.voiced)[:, None]


def converted_octaves(octaves: Tensor, source: Enrolment, target: Enrolment) -> Tensor:
    """Return a source's pitch `(n,)` in the target's range: its mean and spread become the target's."""
    return (octaves - source.octaves[0]) / source.octaves[1] * target.octaves[1] + target.octaves[0]


def _moments(rows: Tensor, usual: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return mean and spread of rows `(n, ...)`, shrunk towards usual ones `(2, ...)` if they are given."""
    mean, square = rows.mean(0), rows.square().mean(0)
    if usual is not None:
        share = _USUAL / (_USUAL + len(rows))
        mean, square = (
            torch.lerp(own, other, share) for own, other in ((mean, usual[0]), (square, usual.square().sum(0)))
        )
    return mean, (square - mean.square()).clamp_min(LEAST_SPREAD**2).sqrt()


def _clustered(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return `count` centroids of rows `(n, D)`, or fewer for few rows, and which each row is of, `(n,)`."""
    chance = torch.Generator().manual_seed(0)
    points = rows[torch.randperm(len(rows), generator=chance)[: min(count, len(rows) // 2)]]
    for _ in range(_ROUNDS):
        members = torch.cat([torch.cdist(piece, points).argmin(1) for piece in torch.split(rows, _AT_ONCE)])
        filled = torch.bincount(members, minlength=len(points)) > 0
        points = torch.where(filled[:, None], _means(rows, members, len(points)), points)
    return points, members


def _means(rows: Tensor, members: Tensor, count: int) -> Tensor:
    """Return the mean row of each of `count` clusters, zero for an empty one."""
    sums = rows.new_zeros(count, rows.shape[1]).index_add_(0, members, rows)
    return sums / torch.bincount(members, minlength=count).clamp_min(1)[:, None]
