"""The phone classifier, from packages to checkpoint: `python -m gramophone.offline.recipes.phones OUT.safetensors`.

Training starts with the one speaker whose recordings come with phone times. The classifier then aligns the other
speakers' transcripts and is trained on the result, four times (Viterbi training, Rabiner 1989). Its input is perturbed
at random. About 20 core-minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.phone_classifier import PHONES, PhoneClassifier, PhoneClassifierShape
from gramophone.models.nets.voice import Voice, VoiceShape
from gramophone.offline.data.corpora import PEOPLE, is_held_out
from gramophone.offline.data.corpus import Corpus, gather, sound
from gramophone.offline.data.phone_transcripts import Words, said, timed
from gramophone.offline.data.recording import spread_evenly
from gramophone.offline.train.perturbation import perturbed
from gramophone.offline.train.precision import quick_products
from gramophone.offline.train.voice.speaker_statistics import moments_of
from gramophone.realtime.stage import Audio

_RATE, _HOP = 16_000, 128
_LONGEST_S = 15.0
_CROP, _BATCH = 256, 16
_EPOCHS = (6, 3, 3, 4, 8)
"""Epochs between alignments; the first round uses the speaker with phone times alone."""
_PEAK = 2e-3
_FORMANTS = 0.15
"""Largest formant shift in octaves."""
_IGNORED = -100
_SMOOTHING = 0.05
_GREETINGS = 40
_NUMBER = {phone: number for number, phone in enumerate(PHONES)}
Labels = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass
class Example:
    """Normalised frames `[channels, n]`, `n` even, the phones of each word, and the phone of each pair if known."""

    frames: Tensor
    words: Words
    labels: Labels | None
    held_out: bool


def main() -> None:
    """Train, and write the model after each round."""
    parser = argparse.ArgumentParser(description="Train the phone classifier.")
    parser.add_argument("out", type=Path, help="the model's file")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    corpus = gather([f"voice:{name}" for name in PEOPLE], _RATE)
    examples = list(_examples(corpus))
    phones = PhoneClassifier(PhoneClassifierShape())
    for number, epochs in enumerate(_EPOCHS):
        if number:
            for example in examples:
                example.labels = _aligned(phones, example)
        _train(phones, [e for e in examples if e.labels is not None and not e.held_out], epochs)
        right = _right(phones, [e for e in examples if e.labels is not None and e.held_out])
        print(f"round {number}: {right:.1%} of held-out frames right", flush=True)
        card = Card(
            _RATE, hop=_HOP, data=corpus.sources, licence=corpus.licence, steps=number + 1, scores={"right": right}
        )
        save(arguments.out, phones, card)


@torch.no_grad()
def _examples(corpus: Corpus) -> Iterator[Example]:
    voice = Voice(VoiceShape(speakers=len(corpus.speakers)))
    for speaker in corpus.speakers:
        own = [r for r in corpus.recordings if r.speaker == speaker and r.heard.frames < _LONGEST_S * _RATE]
        moments = moments_of(voice, spread_evenly([r for r in own if not is_held_out(r.name)], _GREETINGS))
        texts, ends = said(speaker), timed(speaker)
        for recording in own:
            if words := texts.get(recording.name):
                frames = _normalised(voice, sound(recording), moments)
                labels = _timed(ends[recording.name], frames.shape[1] // 2) if recording.name in ends else None
                yield Example(frames.half(), words, labels, is_held_out(recording.name))


def _normalised(voice: Voice, samples: Audio, moments: Tensor) -> Tensor:
    """Return an even number of frames of a recording, `[channels, n]`, normalised by its speaker's statistics."""
    whole = np.pad(samples, (0, -len(samples) % (2 * _HOP)))
    frames = voice.features(torch.from_numpy(whole)[None, None])
    adaptation = voice.encoder.normalisation
    known = adaptation.state_with(moments[None], adaptation.level(frames).amax((1, 2)), adaptation.memory)
    normalised: Tensor = adaptation(frames, known)[0]
    return normalised[0, :, voice.encoder.delay :]


def _timed(ends: Sequence[tuple[float, str]], pairs: int) -> Labels:
    """Return the phone of each pair of frames, by the end of each phone in seconds."""
    times = np.array([end for end, _ in ends])
    middle = (np.arange(pairs) + 0.5) * 2 * _HOP / _RATE
    numbers = np.array([_NUMBER[phone] for _, phone in ends])
    labels: Labels = numbers[np.searchsorted(times, middle).clip(max=len(ends) - 1)]
    return labels


@torch.no_grad()
def _aligned(phones: PhoneClassifier, example: Example) -> Labels | None:
    """Return the phone of each pair of frames, by forced alignment; None if there are too few frames."""
    phones.eval()
    return placed(phones.pairs(example.frames.float()[None])[0].log_softmax(0).T.double().numpy(), example.words)


def placed(scores: Scores, words: Words) -> Labels | None:
    """Return the phone of each frame by forced alignment of words' phones with log scores `(frames, len(PHONES))`.

    Before, between and behind words there may be silence. None if there are too few frames.
    """
    states, optional = [0], [True]
    for word in words:
        states += [_NUMBER[phone] for phone in word] + [0]
        optional += [False] * len(word) + [True]
    path = best_path(scores[:, states], np.array(optional))
    return np.array(states)[path] if len(path) else None


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def best_path(scores: Scores, optional: NDArray[np.bool_]) -> Labels:
    """Return which state each frame is in, by their scores `(frames, states)`, on the best path from first to last.

    States come in order, and those that are `optional` may be left out (Viterbi 1967). Empty if there is no path.
    """
    frames, states = scores.shape
    best = np.full((frames, states), -np.inf)
    came = np.zeros((frames, states), np.int64)
    best[0, 0] = scores[0, 0]
    if states > 1 and optional[0]:
        best[0, 1] = scores[0, 1]
    for frame in range(1, frames):
        for state in range(states):
            for before in range(max(state - 2, 0), state + 1):
                if before == state - 2 and not optional[state - 1]:
                    continue
                if best[frame - 1, before] > best[frame, state]:
                    best[frame, state] = best[frame - 1, before]
                    came[frame, state] = before
            best[frame, state] += scores[frame, state]
    state = states - 1
    if states > 1 and optional[-1] and best[-1, -2] > best[-1, -1]:
        state = states - 2
    if best[-1, state] == -np.inf:
        return came[:0, 0]
    path = np.zeros(frames, np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state = came[frame, state]
    return path


def _train(phones: PhoneClassifier, examples: Sequence[Example], epochs: int) -> None:
    """Train on crops of examples, drawn in proportion to their length and perturbed at random."""
    phones.train()
    lengths = torch.tensor([float(e.frames.shape[1]) for e in examples])
    steps = epochs * int(lengths.sum() / _CROP / _BATCH)
    optimiser = torch.optim.AdamW(phones.parameters(), _PEAK, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK, steps, pct_start=0.1)
    for _ in range(steps):
        frames, labels = zip(
            *(_crop(examples[n]) for n in torch.multinomial(lengths, _BATCH, replacement=True)), strict=True
        )
        inputs = perturbed(torch.stack(frames), VoiceShape.bands, _RATE, _FORMANTS)
        with quick_products():
            logits = phones.pairs(inputs)
        loss = F.cross_entropy(logits.float(), torch.stack(labels), ignore_index=_IGNORED, label_smoothing=_SMOOTHING)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def _crop(example: Example) -> tuple[Tensor, Tensor]:
    """Return a crop of an example and the phone of each pair, padded with labels that are ignored."""
    assert example.labels is not None
    start = 2 * int(torch.randint(0, max(example.frames.shape[1] - _CROP, 0) // 2 + 1, ()))
    frames = example.frames[:, start : start + _CROP].float()
    labels = torch.from_numpy(example.labels[start // 2 :][: _CROP // 2])
    short = _CROP - frames.shape[1]
    return F.pad(frames, (0, short)), F.pad(labels, (0, short // 2), value=_IGNORED)


@torch.no_grad()
def _right(phones: PhoneClassifier, examples: Sequence[Example]) -> float:
    """Return the accuracy on pairs that are not silent."""
    phones.eval()
    right = total = 0
    for example in examples:
        guessed = phones.pairs(example.frames.float()[None])[0].argmax(0).numpy()
        spoken = example.labels != 0
        right += int((guessed == example.labels)[spoken].sum())
        total += int(np.sum(spoken))
    return right / max(total, 1)


if __name__ == "__main__":
    main()
