"""How much content says the phone and how little the speaker: `python -m gramophone.offline.evaluate.content [MODEL]`.

On 40 sentences of flite's four voices, which nothing is trained on: how often a linear probe tells the phone on a
speaker that it was not trained on, how often the four nearest frames of another speaker are the same phone, and how
often a probe tells the speaker. Each speaker's mean and spread are removed first. Without a model: the recogniser's own
layer and log-mel frames, the ceiling and the floor.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.layers.vocoder_features import LogMel, aligned_log_mel
from gramophone.offline.convert import ContentFeatures, encoder_content, recogniser_content
from gramophone.offline.data.flite import SENTENCES, SILENCE, VOICES, sentences
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.data.world import HOP
from gramophone.offline.judges.interval import Interval, bootstrap

_EVERY = 3
"""Only each third frame counts: 24 ms, as the recogniser's."""
_NEIGHBOURS = 4
_RIDGE = 30.0
Rows = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class ContentScore:
    """Shares of frames: `phone` told on an unseen speaker, `neighbours` of the same phone, `speaker` told (chance .25).

    The intervals are over sentences.
    """

    phone: Interval
    neighbours: Interval
    speaker: Interval


def scored(content: ContentFeatures, count: int = SENTENCES) -> ContentScore:
    """Return the scores of some content features on so many sentences."""
    rows, phones, numbers = {}, {}, {}
    for name in VOICES:
        rows[name], phones[name], numbers[name] = _frames(content, name, count)
    classes = sorted(set(np.concatenate(list(phones.values()))))
    labels = {name: np.searchsorted(classes, phones[name]).astype(np.int64) for name in VOICES}
    told = [_told(rows, labels, name, len(classes)) for name in VOICES]
    near = [_near(rows, labels, name) for name in VOICES]
    return ContentScore(
        _by_sentence(told, list(numbers.values())),
        _by_sentence(near, list(numbers.values())),
        _by_sentence(_speakers(rows, numbers), list(numbers.values())),
    )


def log_mel_content() -> ContentFeatures:
    """Return 64 log-mel bands of 32 ms as content."""
    mel = LogMel(RATE, HOP, 64)

    def content(sound: Sound) -> Rows:
        whole = torch.from_numpy(sound[: len(sound) // HOP * HOP].copy())[None, None]
        return np.asarray(aligned_log_mel(mel, whole)[0].T.numpy())

    return content


def _frames(content: ContentFeatures, name: str, count: int) -> tuple[Rows, NDArray[np.str_], NDArray[np.int64]]:
    """Return a voice's normalised frames that are not silent, their phones and the number of each one's sentence."""
    rows, phones, numbers = [], [], []
    for number, sentence in enumerate(sentences(name, count)):
        said = content(sentence.sound)[1::_EVERY]
        times = (np.arange(len(said)) * _EVERY + 1.5) * HOP / RATE
        labels = np.array([sentence.phone_at(time) for time in times])
        keep = labels != SILENCE
        rows.append(said[keep])
        phones.append(labels[keep])
        numbers.append(np.full(int(keep.sum()), number))
    found = np.concatenate(rows)
    normalised = (found - found.mean(axis=0)) / (found.std(axis=0) + 1e-5)
    return normalised.astype(np.float32), np.concatenate(phones), np.concatenate(numbers)


def _told(rows: Mapping[str, Rows], labels: Mapping[str, Labels], left_out: str, classes: int) -> NDArray[np.bool_]:
    """Return which frames of a voice a linear probe trained on the others tells the phone of."""
    x = np.concatenate([rows[name] for name in rows if name != left_out])
    y = np.concatenate([labels[name] for name in rows if name != left_out])
    return np.asarray(_ridge(x, np.eye(classes)[y], rows[left_out]).argmax(axis=1) == labels[left_out])


def _near(rows: Mapping[str, Rows], labels: Mapping[str, Labels], name: str) -> Rows:
    """Return for each frame of a voice how many of its nearest among each other voice's are the same phone."""
    shares = []
    for other in rows:
        if other != name:
            near = torch.cdist(torch.from_numpy(rows[name]), torch.from_numpy(rows[other]))
            nearest = near.topk(_NEIGHBOURS, largest=False).indices.numpy()
            shares.append((labels[other][nearest] == labels[name][:, None]).mean(axis=1))
    return np.asarray(np.mean(shares, axis=0), np.float32)


def _speakers(rows: Mapping[str, Rows], numbers: Mapping[str, NDArray[np.int64]]) -> list[NDArray[np.bool_]]:
    """Return which frames of odd sentences a probe trained on the even ones tells the speaker of."""
    names = list(rows)
    even = {name: numbers[name] % 2 == 0 for name in names}
    x = np.concatenate([rows[name][even[name]] for name in names])
    y = np.concatenate([np.full(int(even[name].sum()), index) for index, name in enumerate(names)])
    found = []
    for index, name in enumerate(names):
        right = _ridge(x, np.eye(len(names))[y], rows[name]).argmax(axis=1) == index
        found.append(np.where(even[name], np.nan, right))
    return found


def _ridge(x: Rows, y: NDArray[np.float64], unknown: Rows) -> NDArray[np.float64]:
    """Return the outputs of a linear regression of `y` on `x`, with a constant, for other rows."""
    ones, others = (np.concatenate([part, np.ones((len(part), 1))], axis=1).astype(np.float64) for part in (x, unknown))
    weights = np.linalg.solve(ones.T @ ones + _RIDGE * np.eye(ones.shape[1]), ones.T @ y)
    return np.asarray(others @ weights)


def _by_sentence(values: Sequence[NDArray[Any]], numbers: list[NDArray[np.int64]]) -> Interval:
    """Return the mean over sentences of the mean over a sentence's frames, those that are known."""
    means = []
    for own, number in zip(values, numbers, strict=True):
        for sentence in np.unique(number):
            here = own[number == sentence].astype(np.float64)
            if not np.isnan(here).all():
                means.append(float(np.nanmean(here)))
    return bootstrap(means)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Score content features on unseen speakers.")
    parser.add_argument("models", type=Path, nargs="*", help="content encoders")
    parser.add_argument("--sentences", type=int, default=SENTENCES)
    parser.add_argument("--bounds", action="store_true", help="the recogniser's layer and log-mel as well")
    arguments = parser.parse_args()
    features = {str(path): encoder_content(path) for path in arguments.models}
    if arguments.bounds or not features:
        features |= {"the recogniser's fifth block": recogniser_content(), "log-mel": log_mel_content()}
    for name, content in features.items():
        score = scored(content, arguments.sentences)
        print(f"{name}: phone {score.phone}, neighbours {score.neighbours}, speaker {score.speaker}", flush=True)


if __name__ == "__main__":
    main()
