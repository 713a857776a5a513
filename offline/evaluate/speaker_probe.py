"""Whether the speaker can be told by a voice's latents: a probe that is trained to, on recordings of its own.

It hears the mean and the spread of each latent over a recording, of an encoder that is accustomed to the voice. The
same probe on the log-mel frames that the encoder hears says how much there was to tell, and guessing how little there
may be. Where nearly everybody speaks a language of their own the language tells who it is, and latents are to say what
is said; so those who speak the same one are told apart as well, two at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.nets.voice import Voice
from gramophone.offline.data.corpus import Corpus, sound
from gramophone.offline.data.recording import Recording, spread_evenly
from gramophone.offline.train.voice.resynthesis import warmed_up
from gramophone.realtime.stages.latent.voice_offline import latents

_PER_SPEAKER = 60
_LONGEST_S, _SHORTEST_S = 4.0, 1.0
_RIDGE = 1e-3


@dataclass(frozen=True)
class Probed:
    """How often the probe is right on held-out recordings: by latents, by what the encoder hears, and by guessing.

    `latents_alike` and `heard_alike` are the same among two who speak one language, where half are guessed right: the
    mean over all such pairs, NaN if there are none.
    """

    latents: float
    heard: float
    chance: float
    latents_alike: float
    heard_alike: float


def probed(voice: Voice, corpus: Corpus, speakers: Sequence[str], languages: Mapping[str, str]) -> Probed:
    """Train probes on recordings that are not held out, and return how often they are right on those that are.

    `languages` are those of speakers of whom they are known.
    """
    learnt, tested = (_examples(voice, corpus, part, speakers) for part in (corpus.training, corpus.held_out))
    alike = [
        (one, other)
        for one, other in combinations(range(len(speakers)), 2)
        if speakers[one] in languages and languages[speakers[one]] == languages.get(speakers[other])
    ]
    everybody = [_right(learnt, tested, kind, range(len(speakers))) for kind in range(2)]
    two = [fmean([_right(learnt, tested, kind, pair) for pair in alike] or [math.nan]) for kind in range(2)]
    return Probed(everybody[0], everybody[1], 1 / len(speakers), two[0], two[1])


Examples = tuple[list[Tensor], Tensor]
"""What latents and frames are like, `(n, features)` each, and who speaks, `(n,)`."""


@torch.no_grad()
def _examples(voice: Voice, corpus: Corpus, recordings: Sequence[Recording], speakers: Sequence[str]) -> Examples:
    """Return what latents and frames are like, `(n, features)` each, and who speaks, `(n,)`."""
    rows: list[tuple[Tensor, Tensor]] = []
    labels = []
    for place, speaker in enumerate(speakers):
        own = [r for r in recordings if r.speaker == speaker and r.heard.audible >= _SHORTEST_S * corpus.rate]
        heard = warmed_up(voice, corpus, speaker)
        for recording in spread_evenly(own, _PER_SPEAKER):
            samples = sound(recording, *_audible(recording, corpus.rate))
            samples = samples[: len(samples) // voice.shape.hop * voice.shape.hop]
            raw = voice.heard(torch.from_numpy(samples)[None, None])
            rows.append((_summary(latents(voice, samples, heard)), _summary(raw)))
            labels.append(place)
    return [torch.stack(kind) for kind in zip(*rows, strict=True)], torch.tensor(labels)


def _audible(recording: Recording, rate: int) -> tuple[int, int]:
    """Return the first and one past the last sample of the longest audible part, 4 s of it at most."""
    start, end = max(recording.heard.spans, key=lambda span: span[1] - span[0])
    return start, min(end, start + round(_LONGEST_S * rate))


def _summary(frames: Tensor) -> Tensor:
    """Return mean and spread over time of `(1, C, n)`, `(2 C,)`."""
    return torch.cat([frames[0].mean(1), frames[0].std(1)])


def _right(learnt: Examples, tested: Examples, kind: int, speakers: Sequence[int]) -> float:
    """Return how often a logistic regression, ridged, tells some speakers apart by one kind of features."""
    (rows, labels), (others, truth) = (_of(part, kind, speakers) for part in (learnt, tested))
    return _ridged(rows, labels, others, truth)


def _of(examples: Examples, kind: int, speakers: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the features and numbers, in their order, of some speakers."""
    features, labels = examples[0][kind], examples[1]
    which = torch.isin(labels, torch.tensor(speakers))
    return features[which], torch.searchsorted(torch.tensor(speakers), labels[which])


def _ridged(learnt: Tensor, labels: Tensor, tested: Tensor, truth: Tensor) -> float:
    """Return how often the regression is right; both sets are standardised by the first."""
    mean, spread = learnt.mean(0), learnt.std(0).clamp_min(1e-6)
    x, unknown = ((rows - mean) / spread for rows in (learnt, tested))
    weights = torch.zeros(x.shape[1], int(labels.max()) + 1, requires_grad=True)
    shift = torch.zeros(weights.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([weights, shift], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        value = F.cross_entropy(x @ weights + shift, labels) + _RIDGE * weights.square().sum()
        torch.autograd.backward(value)
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return float(((unknown @ weights + shift).argmax(1) == truth).float().mean())
