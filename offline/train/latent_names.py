"""Names for a model's latents by the descriptors that they correlate with on held-out sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.checkpoint import Card
from gramophone.models.nets.latent_order import LatentOrder
from gramophone.models.style.gaussian import moments
from gramophone.offline.data.corpus import Corpus
from gramophone.offline.data.descriptors import DESCRIPTORS, kept_descriptors
from gramophone.offline.data.recording import Recording, spread_evenly
from gramophone.realtime.stages.latent.parameters import MOMENTS

Encode = Callable[[Recording], Tensor]
"""A recording's latents, `(D, n)`, a frame for each hop."""
Doubles = NDArray[np.float64]
LEAST_R2 = 0.25
"""Below this a latent is not named after a descriptor."""
_RECORDINGS = 24
"""Held-out recordings per speaker that are analysed."""
AUDIBLE_DB = -50.0
"""Loudness of a frame in dBFS above which it counts."""


@dataclass(frozen=True)
class Meaning:
    """A model's latents, in its order.

    `names` are as in `z1 brightness +`; `about` the descriptor of each, or empty; `r2` the share of its variance that
    the latent explains, or of the best one's where none earned a name; `spread` the latents' standard deviations.
    """

    names: tuple[str, ...]
    about: tuple[str, ...]
    r2: tuple[float, ...]
    spread: tuple[float, ...]

    def notes(self) -> dict[str, object]:
        """Return what a card notes of it."""
        return {"about": self.about, "r2": self.r2, "spread": self.spread}


def explained(card: Card, encode: Encode, arrange: Callable[[LatentOrder], None], corpus: Corpus) -> Card:
    """Arrange a model's latents, and return its card with their names and all that is known of them."""
    meaning = explain(encode, arrange, corpus, card.hop)
    known = speakers_moments(encode, corpus, card.hop)
    notes = {**card.notes, **meaning.notes(), MOMENTS: known, "company": company(meaning.about, known)}
    return replace(card, latents=meaning.names, notes=notes)


def explain(encode: Encode, arrange: Callable[[LatentOrder], None], corpus: Corpus, hop: int) -> Meaning:
    """Measure a model's latents on held-out recordings, and order them by what they explain, signs made positive."""
    series = [
        (encode(recording).T.numpy(), kept_descriptors(recording, corpus.rate, hop))
        for speaker in corpus.speakers
        for recording in some_of(corpus.held_out, speaker)
    ]
    z = np.concatenate([frames for frames, _ in series]).astype(np.float64)
    values = np.concatenate([descriptors for _, descriptors in series])
    audible = values[:, 0] > AUDIBLE_DB
    found = correlations(z[audible], values[audible])
    best = np.abs(found).argmax(1)
    r2 = np.square(found[np.arange(len(found)), best])
    order = np.argsort(-r2, kind="stable")
    signs = np.where(found[np.arange(len(found)), best] < 0, -1, 1)[order]
    arrange(LatentOrder(order.tolist(), signs.tolist()))
    about = tuple(DESCRIPTORS[best[place]] if r2[place] >= LEAST_R2 else "" for place in order)
    return Meaning(
        tuple(f"z{number} {name} +" if name else f"z{number}" for number, name in enumerate(about, start=1)),
        about,
        tuple(round(float(r2[place]), 4) for place in order),
        tuple(round(float(z[audible, place].std()), 4) for place in order),
    )


def correlations(z: Doubles, descriptors: NDArray[np.floating[Any]]) -> Doubles:
    """Return the correlations of latents with descriptors where defined: `(n, D)`, `(n, 6)` -> `(D, 6)`."""
    columns = []
    for descriptor in descriptors.astype(np.float64).T:
        there = np.isfinite(descriptor)
        latents, values = z[there] - z[there].mean(0), descriptor[there] - descriptor[there].mean()
        size = np.sqrt(np.square(latents).sum(0) * np.square(values).sum())
        columns.append(latents.T @ values / np.maximum(size, 1e-12))
    return np.stack(columns, axis=1)


def speakers_moments(encode: Encode, corpus: Corpus, hop: int) -> dict[str, dict[str, object]]:
    """Return mean and covariance of each speaker's latents over audible frames that may be trained on."""
    found: dict[str, dict[str, object]] = {}
    for speaker in corpus.speakers:
        frames = []
        for recording in some_of(corpus.training, speaker):
            z = encode(recording).t()
            loudness = kept_descriptors(recording, corpus.rate, hop)[:, 0]
            frames.append(z[torch.from_numpy(loudness > AUDIBLE_DB)])
        style = moments(torch.cat(frames)).gaussian()
        found[speaker] = {"mean": style.mean.tolist(), "covariance": style.covariance.tolist()}
    return found


def company(about: Sequence[str], moments: Mapping[str, Mapping[str, object]]) -> list[list[float]]:
    """Return what moving each latent by one adds to all, `(D, D)`: with a named one move those that covary with it.

    That is the others' conditional expectation given the one, within speakers. A decoder may use several latents for
    the same thing, and then responds little to one that moves alone.
    """
    covariance = np.mean([np.asarray(found["covariance"], np.float64) for found in moments.values()], axis=0)
    expected = covariance / np.maximum(np.diag(covariance), 1e-12)[:, None]
    alone = np.eye(len(about))
    named = np.array([bool(name) for name in about])
    rows: list[list[float]] = np.where(named[:, None] & ~alone.astype(bool), expected, alone).round(4).tolist()
    return rows


def some_of(recordings: Sequence[Recording], speaker: str) -> list[Recording]:
    """Return some of a speaker's recordings, spread evenly over all of them."""
    own = [recording for recording in recordings if recording.speaker == speaker]
    return spread_evenly(own, _RECORDINGS)
