"""How much of the speaker a voice's latents hold: the accuracy of a linear speaker classifier (probe) on them.

Its features are the mean and the standard deviation of each latent over a recording, of an encoder whose speaker
statistics have settled. The same probe on the log-mel frames of the encoder's input is the upper bound, and chance the
lower one. As most speakers here have a language of their own, and latents are to keep the words, the language
identifies the speaker; so pairs of speakers of one language are classified as well.
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
from gramophone.realtime.stages.latent.voice_analysis import encode

_PER_SPEAKER = 60
_LONGEST_S, _SHORTEST_S = 4.0, 1.0
_RIDGE = 1e-3


@dataclass(frozen=True)
class Probed:
    """The probe's accuracy on held-out recordings, 0 to 1: on latents, on the encoder's input (`heard`), and by chance.

    `latents_alike` and `heard_alike` are the means over all pairs of speakers of one language, where chance is a half;
    NaN if there are none.
    """

    latents: float
    heard: float
    chance: float
    latents_alike: float
    heard_alike: float


def probed(voice: Voice, corpus: Corpus, speakers: Sequence[str], languages: Mapping[str, str]) -> Probed:
    """Train probes on recordings that are not held out, and return their accuracy on those that are.

    `languages` are those of the speakers where they are known.
    """
    learnt, tested = (_examples(voice, corpus, part, speakers) for part in (corpus.training, corpus.held_out))
    alike = [
        (one, other)
        for one, other in combinations(range(len(speakers)), 2)
        if speakers[one] in languages and languages[speakers[one]] == languages.get(speakers[other])
    ]
    all_speakers = [_accuracy(learnt, tested, kind, range(len(speakers))) for kind in range(2)]
    two = [fmean([_accuracy(learnt, tested, kind, pair) for pair in alike] or [math.nan]) for kind in range(2)]
    return Probed(all_speakers[0], all_speakers[1], 1 / len(speakers), two[0], two[1])


Examples = tuple[list[Tensor], Tensor]
"""Features of latents and of input frames, `(n, features)` each, and the speakers' numbers, `(n,)`."""


@torch.no_grad()
def _examples(voice: Voice, corpus: Corpus, recordings: Sequence[Recording], speakers: Sequence[str]) -> Examples:
    """Return the examples of some recordings, at most 60 of each speaker."""
    rows: list[tuple[Tensor, Tensor]] = []
    labels = []
    for place, speaker in enumerate(speakers):
        own = [r for r in recordings if r.speaker == speaker and r.heard.audible >= _SHORTEST_S * corpus.rate]
        heard = warmed_up(voice, corpus, speaker)
        for recording in spread_evenly(own, _PER_SPEAKER):
            samples = sound(recording, *_audible(recording, corpus.rate))
            samples = samples[: len(samples) // voice.shape.hop * voice.shape.hop]
            raw = voice.features(torch.from_numpy(samples)[None, None])
            rows.append((_summary(encode(voice, samples, heard)), _summary(raw)))
            labels.append(place)
    return [torch.stack(kind) for kind in zip(*rows, strict=True)], torch.tensor(labels)


def _audible(recording: Recording, rate: int) -> tuple[int, int]:
    """Return the first and one past the last sample of the longest audible part, 4 s of it at most."""
    start, end = max(recording.heard.spans, key=lambda span: span[1] - span[0])
    return start, min(end, start + round(_LONGEST_S * rate))


def _summary(frames: Tensor) -> Tensor:
    """Return mean and standard deviation over time of `(1, C, n)`, `(2 C,)`."""
    return torch.cat([frames[0].mean(1), frames[0].std(1)])


def _accuracy(learnt: Examples, tested: Examples, kind: int, speakers: Sequence[int]) -> float:
    """Return the accuracy of a ridge-penalised logistic regression on some speakers and one kind of features."""
    (rows, labels), (others, truth) = (_of(part, kind, speakers) for part in (learnt, tested))
    return _ridged(rows, labels, others, truth)


def _of(examples: Examples, kind: int, speakers: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the features of some speakers, and their places in that order."""
    features, labels = examples[0][kind], examples[1]
    which = torch.isin(labels, torch.tensor(speakers))
    return features[which], torch.searchsorted(torch.tensor(speakers), labels[which])


def _ridged(learnt: Tensor, labels: Tensor, tested: Tensor, truth: Tensor) -> float:
    """Return the accuracy of the regression; both sets are standardised by the first."""
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
