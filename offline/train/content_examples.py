"""What a content encoder learns from: normalised frames of a speaker's recordings, and what the teacher says of them.

A speaker's recordings lie one after the other. Copies played faster and slower are speakers of their own; copies with
noise, in a room or over a telephone teach that the content is the same. The teacher's features lose each speaker's
mean and spread, so that what is left says the phone and not the speaker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from gramophone.models.nets.content import ContentEncoder, RecordingMoments
from gramophone.offline.data.mono_audio import RATE, Sound, levelled, resampled
from gramophone.offline.data.moonshine import CHANNELS, FIRST, STRIDE, Moonshine
from gramophone.presets.atomic import atomic_write

FASTER, SLOWER = "faster", "slower"
FACTORS = {FASTER: 1.15, SLOWER: 0.87}
"""How much faster copies are played: pitch and formants go along, and a speaker encoder hears somebody else."""
WORN = ("noise", "room", "telephone")
PLAIN = "plain"
_AUDIBLE_NATS = -8.0
"""A frame this far below the loudest of late, or further, says nothing."""
_FAINT = 0.1
"""What such frames count in the loss."""
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Examples:
    """One speaker's recordings in a row.

    `inputs` are normalised frames `(N, C)`, float16; `places` where in `features` `(K, 288)`, float16, the content of
    each output frame lies, `(N,)`; `weights` what each counts, `(N,)`, 0 where the teacher says nothing; `moments` the
    speaker's statistics `(2 C,)`.
    """

    inputs: NDArray[np.float16]
    places: NDArray[np.float32]
    features: NDArray[np.float16]
    weights: NDArray[np.float32]
    moments: NDArray[np.float32]


def feature_places(frames: int, hop: int, ahead: int) -> NDArray[np.float64]:
    """Return where among the teacher's features of a recording lies what each of the encoder's outputs speaks of.

    Output `n` speaks of the middle of hop `n - ahead`; feature `k` of sample `STRIDE k + FIRST`.
    """
    return np.asarray(((np.arange(frames) - ahead + 0.5) * hop - FIRST) / STRIDE)


@torch.no_grad()
def frames_of(encoder: ContentEncoder, sound: Sound) -> torch.Tensor:
    """Return the features of a sound before normalisation, `(1, C, n)`, of whole hops."""
    whole = sound[: len(sound) // encoder.hop * encoder.hop]
    frames: torch.Tensor = encoder.features(torch.from_numpy(np.ascontiguousarray(whole))[None, None])[0]
    return frames


@torch.no_grad()
def examples(encoder: ContentEncoder, teacher: Moonshine, pairs: Sequence[tuple[Sound, Sound]]) -> Examples:
    """Return a speaker's examples; of each recording the encoder hears the first of a pair and the teacher the second.

    Raises:
        ValueError: there is no recording of 100 ms or more.
    """
    pairs = [pair for pair in pairs if len(pair[0]) >= RATE // 10]
    if not pairs:
        raise ValueError("no recording of a speaker is 100 ms long")
    moments = RecordingMoments(encoder)
    frames = [frames_of(encoder, heard) for heard, _ in pairs]
    for piece in frames:
        moments.add(piece)
    who, _ = moments.known()
    inputs, places, weights, features = [], [], [], []
    start = 0
    for piece, (_, clean) in zip(frames, pairs, strict=True):
        loudest = encoder.normalisation.level(piece).amax(2)[:, 0]
        state = encoder.normalisation.state_with(who, loudest, encoder.normalisation.memory)
        inputs.append(encoder.normalised(piece, state)[0][0].T.numpy().astype(np.float16))
        said = teacher.features(clean)
        place = feature_places(piece.shape[2], encoder.hop, encoder.delay)
        level = encoder.normalisation.level(piece)[0, 0].numpy()
        late = np.r_[np.full(encoder.delay, -np.inf), level][: len(level)]
        weight = np.where(late - level.max() > _AUDIBLE_NATS, 1.0, _FAINT)
        weights.append(np.where((place >= 0) & (place <= len(said) - 1), weight, 0.0).astype(np.float32))
        places.append((start + np.clip(place, 0, max(len(said) - 1, 0))).astype(np.float32))
        features.append(said)
        start += len(said)
    said = np.concatenate(features)
    return Examples(
        np.concatenate(inputs),
        np.concatenate(places),
        without_speaker(said, np.concatenate(places), np.concatenate(weights)).astype(np.float16),
        np.concatenate(weights),
        who[0].numpy(),
    )


def without_speaker(
    features: NDArray[np.float32], places: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return features `(K, 288)` less their mean and over their spread, both over those that audible frames lie at."""
    audible = np.unique(np.round(places[weights == 1.0]).astype(int).clip(0, max(len(features) - 1, 0)))
    if not len(audible):
        return np.zeros((len(features), CHANNELS), np.float32)
    mean, spread = features[audible].mean(axis=0), features[audible].std(axis=0) + _LEAST_SPREAD
    return np.asarray((features - mean) / spread, np.float32)


def copies(
    sounds: Sequence[Sound], kind: str, seconds: float, chance: np.random.Generator
) -> list[tuple[Sound, Sound]]:
    """Return up to so many seconds of recordings, drawn at random, as `kind` makes them, and what the teacher hears."""
    found: list[tuple[Sound, Sound]] = []
    left = seconds * RATE
    wear = worn(kind, chance) if kind in WORN else None
    for index in chance.permutation(len(sounds)):
        if left <= 0:
            break
        sound = sounds[index]
        left -= len(sound)
        if kind in FACTORS:
            sound = resampled(sound, round(RATE * FACTORS[kind]), RATE)
        found.append((levelled(wear(sound)), sound) if wear else (sound, sound))
    return found


def worn(kind: str, chance: np.random.Generator) -> Callable[[Sound], Sound]:
    """Return what one microphone in one place makes of speech: noise, a room's echo, or a telephone line."""
    if kind == "noise":
        colour, level = chance.uniform(0, 0.95), 0.1 * 10 ** (-chance.uniform(8, 28) / 20)

        def noisy(sound: Sound) -> Sound:
            hiss = lfilter([1 - colour], [1, -colour], chance.standard_normal(len(sound)))
            return np.asarray(sound + level * hiss / max(float(hiss.std()), 1e-9), np.float32)

        return noisy
    if kind == "room":
        fall, share = chance.uniform(0.03, 0.12), chance.uniform(0.3, 1.0)
        times = np.arange(round(0.4 * RATE)) / RATE
        tail = chance.standard_normal(len(times)) * np.exp(-times / fall)
        response = np.r_[1.0, share * tail[1:] / np.sqrt((tail[1:] ** 2).sum())]
        return lambda sound: np.asarray(fftconvolve(sound, response)[: len(sound)], np.float32)
    companding = 255.0

    def telephone(sound: Sound) -> Sound:
        narrow = np.clip(resampled(sound, RATE, RATE // 2), -1, 1)
        code = np.sign(narrow) * np.log1p(companding * np.abs(narrow)) / np.log1p(companding)
        code = np.round(code * 127) / 127
        back = np.sign(code) * np.expm1(np.abs(code) * np.log1p(companding)) / companding
        return np.resize(resampled(back.astype(np.float32), RATE // 2, RATE), len(sound))

    return telephone


def save_examples(path: Path, kept: Examples) -> None:
    """Write examples; the file appears whole or not at all."""
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez(file, **vars(kept))


def load_examples(paths: Iterable[Path]) -> dict[str, Examples]:
    """Return examples by the names of their files."""
    found = {}
    for path in paths:
        with np.load(path) as kept:
            found[path.stem] = Examples(**{name: kept[name] for name in kept.files})
    return found
