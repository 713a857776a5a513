"""Crops of recordings, each a function of the seed and its number: a run goes on with the crop it was killed at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from gramophone.offline.data.corpus import sound
from gramophone.offline.data.recording import Recording

Series = Callable[[Recording], NDArray[np.float32]]
"""A recording's series of conditions, `(frames, channels)`."""
Vector = Callable[[Recording], NDArray[np.float32]]
"""A recording's global condition, `(width,)`."""

_QUIET = 0.02
"""No sample of a pause is larger, in sound at -20 dBFS."""
JITTER = 2
"""The most mu-law steps of noise on what a model hears, so that it learns to recover from its own mistakes."""


class Batch(NamedTuple):
    """Crops to learn from.

    `sound` is `(B, 1, 1 + T)`: what is heard is all but the last sample, what is to be said all but the first. There
    may be more before and after, for models that hear further than they speak.
    `jitter` `(B, 1, T)` are mu-law steps to shift what is heard by; `scored` `(B, T)` says which samples count.
    `speaker` `(B,)` is the place in the corpus' speakers, `vector` `(B, V)` and `local` `(B, C, n)` are further
    conditions, V and C 0 where there are none.
    `heard`, as long as `sound`, is the same as `told` `(B,)` says it: who learns to speak as another hears one and says
    the other. Where nobody else says it, both are the speaker's own.
    """

    sound: Tensor
    jitter: Tensor
    scored: Tensor
    speaker: Tensor
    vector: Tensor
    local: Tensor
    heard: Tensor
    told: Tensor


@dataclass(frozen=True)
class Cutter:
    """Cuts crops of `length` samples; the first `unscored` of each only warm the model up.

    `hop` is the samples per frame of the local `series`; crops start at a frame. With each crop comes the sound of
    `before` samples ahead of it and `after` samples behind it. With a `pause`, what lies further than so many samples
    from anything to be heard is not scored.
    """

    speakers: tuple[str, ...]
    length: int
    unscored: int
    hop: int = 1
    series: Series | None = None
    vector: Vector | None = None
    before: int = 0
    after: int = 0
    pause: int = 0

    def cut(self, recording: Recording, start: int, heard: Recording | None = None) -> Batch:
        """Return the crop from sample `start` on, as a batch of one; what lies beyond the recording is not scored.

        `heard` is a recording of the same in time with it, if it is not to be heard itself.
        """
        start = max(start, 0) // self.hop * self.hop
        whole, end = self._whole(recording, start)
        scored = np.arange(self.length) < end - start
        scored[: self.unscored] = False
        if self.pause:
            scored &= _near_sound(whole[self.before : self.before + 1 + self.length], self.pause)[1:]
        return Batch(
            torch.from_numpy(whole)[None, None],
            torch.zeros(1, 1, self.length, dtype=torch.int64),
            torch.from_numpy(scored)[None],
            torch.tensor([self.speakers.index(recording.speaker)]),
            torch.from_numpy(self.vector(recording))[None] if self.vector else torch.zeros(1, 0),
            self._frames(recording, start // self.hop),
            torch.from_numpy(self._whole(heard, start)[0] if heard else whole)[None, None],
            torch.tensor([self.speakers.index((heard or recording).speaker)]),
        )

    def _whole(self, recording: Recording, start: int) -> tuple[NDArray[np.float32], int]:
        """Return all samples that come with the crop from sample `start` on, and one past the last that there is."""
        first = start - self.before - 1
        there = sound(recording, max(first, 0), start + self.length + self.after)
        whole = np.zeros(self.before + 1 + self.length + self.after, np.float32)
        silence = max(-first, 0)  # before the first sample, as in generation
        whole[silence : silence + len(there)] = there
        return whole, first + silence + len(there)

    def _frames(self, recording: Recording, first: int) -> Tensor:
        """Return the local series for a crop, its last frame repeated where the recording is over."""
        if self.series is None:
            return torch.zeros(1, 0, 1)
        series = self.series(recording)
        places = np.minimum(np.arange(first, first + self.length // self.hop), len(series) - 1)
        return torch.from_numpy(np.ascontiguousarray(series[places].T))[None]


class Crops(Dataset[Batch]):
    """Batch number `step`: speakers alike, each speaker's recordings by how much is to be heard in them.

    `rank` of `processes` takes its own share of each step's crops. `together` gives the recordings of the same in time
    with a recording, itself among them: any of them is heard.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        cutter: Cutter,
        batch: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        together: Callable[[Recording], Sequence[Recording]] | None = None,
    ) -> None:
        self._cutter, self._batch, self._seed, self._together = cutter, batch, seed, together
        self._rank, self._processes = rank, processes
        self._by_speaker = [
            own for speaker in cutter.speakers if (own := [r for r in recordings if r.speaker == speaker])
        ]
        self._ends = [np.cumsum([recording.heard.audible for recording in own]) for own in self._by_speaker]

    def __getitem__(self, step: int) -> Batch:
        """Return this process' share of a step's crops."""
        first = (step * self._processes + self._rank) * self._batch
        return stacked([self._drawn(number) for number in range(first, first + self._batch)])

    def _drawn(self, number: int) -> Batch:
        chance = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 0, number]))
        speaker = chance.integers(len(self._by_speaker))
        ends = self._ends[speaker]
        recording = self._by_speaker[speaker][np.searchsorted(ends, chance.integers(ends[-1]), side="right")]
        start = self._start(recording, chance)
        chorus = self._together(recording) if self._together else ()
        crop = self._cutter.cut(recording, start, chorus[int(chance.integers(len(chorus)))] if chorus else None)
        # How noisy differs from crop to crop, so that clean sound is heard as well.
        jitter = chance.integers(-JITTER, JITTER + 1, crop.jitter.shape) * chance.random()
        return crop._replace(jitter=torch.from_numpy(np.round(jitter).astype(np.int64)))

    def _start(self, recording: Recording, chance: np.random.Generator) -> int:
        """Return where a crop starts: anywhere in an audible part that it fits in, a little before for its warm-up."""
        lengths = np.array([end - start for start, end in recording.heard.spans])
        start, end = recording.heard.spans[chance.choice(len(lengths), p=lengths / lengths.sum())]
        earliest, latest = start - self._cutter.unscored, end - self._cutter.length
        return int(chance.integers(earliest, max(latest, earliest) + 1))


class FromStep(Sampler[int]):
    """The steps from `first` on of `steps`."""

    def __init__(self, first: int, steps: int) -> None:
        self._first, self._steps = first, steps

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._first, self._steps))

    def __len__(self) -> int:
        return self._steps


class ValidationBatch(Dataset[Batch]):
    """The same crops of held-out recordings every time: a batch per speaker, spread over all of theirs."""

    def __init__(self, recordings: Sequence[Recording], cutter: Cutter, crops: int) -> None:
        self._batches = [
            stacked([cutter.cut(recording, start) for recording, start in _spread(own, cutter.length, crops)])
            for speaker in cutter.speakers
            if (own := [recording for recording in recordings if recording.speaker == speaker])
        ]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    def __getitem__(self, index: int) -> Batch:
        """Return a speaker's batch."""
        return self._batches[index]


def _near_sound(sound: NDArray[np.float32], reach: int) -> NDArray[np.bool_]:
    """Return which samples have something to be heard at most `reach` samples before or after them."""
    return np.asarray(maximum_filter1d(np.abs(sound), 2 * reach + 1, mode="constant") > _QUIET)


def stacked(crops: Sequence[Batch]) -> Batch:
    """Return batches as one."""
    return Batch(*(torch.cat(part) for part in zip(*crops, strict=True)))


def _spread(recordings: Sequence[Recording], length: int, crops: int) -> Iterator[tuple[Recording, int]]:
    """Yield as many places, evenly spread over the audible parts of all recordings."""
    places: Mapping[int, tuple[Recording, int]] = dict(
        enumerate(
            (recording, start)
            for recording in recordings
            for first, end in recording.heard.spans
            for start in range(first, max(end - length, first) + 1, length)
        )
    )
    for index in np.unique(np.linspace(0, len(places) - 1, crops).round().astype(int)):
        yield places[int(index)]
