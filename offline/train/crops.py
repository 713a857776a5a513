"""Crops of recordings, each a function of the seed and its number, so that a resumed run sees the same crops."""

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
"""A recording's local conditioning, `[frames, channels]`."""
Vector = Callable[[Recording], NDArray[np.float32]]
"""A recording's global conditioning, `[width]`."""

_QUIET = 0.02
"""Largest sample magnitude in a pause, for sound at -20 dBFS."""
JITTER = 2
"""Largest noise on a model's input in mu-law steps, so that it learns to recover from its own errors."""


class Batch(NamedTuple):
    """Crops to train on.

    `sound` `[B, 1, 1 + T]` holds input and target of an autoregressive model: all but the last sample, and all but the
    first. There may be more samples before and after, for models whose encoder has a larger receptive field.
    `jitter` `[B, 1, T]` is noise to add to the input, in mu-law steps; `scored` `[B, T]` says which samples count in
    the loss. `speaker` `[B]` is the index in the corpus' speakers; `vector` `[B, V]` and `local` `[B, C, n]` are global
    and local conditioning, V or C 0 where there is none.
    `source`, as long as `sound`, is the encoder's input in voice conversion: a time-aligned recording of the same text
    by `source_speaker` `[B]`. Without parallel recordings they are `sound` and `speaker`.
    """

    sound: Tensor
    jitter: Tensor
    scored: Tensor
    speaker: Tensor
    vector: Tensor
    local: Tensor
    source: Tensor
    source_speaker: Tensor


@dataclass(frozen=True)
class Cutter:
    """Cuts crops of `length` samples; the first `unscored` of each only fill the model's receptive field.

    `hop` is the samples per frame of the local conditioning `series`; crops start at a frame. Each crop comes with
    `before` samples ahead of it and `after` samples behind it. With a `pause`, samples that are further than that many
    samples from any sound are not scored.
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

    def cut(self, recording: Recording, start: int, source: Recording | None = None) -> Batch:
        """Return the crop from sample `start` on, as a batch of one; samples beyond the recording are not scored.

        `source` is a time-aligned recording of the same text, if the encoder's input is not the recording itself.
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
            torch.from_numpy(self._whole(source, start)[0] if source else whole)[None, None],
            torch.tensor([self.speakers.index((source or recording).speaker)]),
        )

    def _whole(self, recording: Recording, start: int) -> tuple[NDArray[np.float32], int]:
        """Return all samples that come with the crop from sample `start` on, and the index after the last real one."""
        first = start - self.before - 1
        there = sound(recording, max(first, 0), start + self.length + self.after)
        whole = np.zeros(self.before + 1 + self.length + self.after, np.float32)
        silence = max(-first, 0)  # before the first sample, as when generating
        whole[silence : silence + len(there)] = there
        return whole, first + silence + len(there)

    def _frames(self, recording: Recording, first: int) -> Tensor:
        """Return a crop's local conditioning `[1, C, n]`, the last frame repeated past the recording's end."""
        if self.series is None:
            return torch.zeros(1, 0, 1)
        series = self.series(recording)
        places = np.minimum(np.arange(first, first + self.length // self.hop), len(series) - 1)
        return torch.from_numpy(np.ascontiguousarray(series[places].T))[None]


class TrainingCrops(Dataset[Batch]):
    """Batch number `step`: speakers equally likely, a speaker's recordings in proportion to their audible length.

    `rank` of `processes` takes its own share of each step's crops. `parallel` returns the time-aligned recordings of a
    recording's text, itself among them; one of them, at random, becomes the source.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        cutter: Cutter,
        batch: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        parallel: Callable[[Recording], Sequence[Recording]] | None = None,
    ) -> None:
        self._cutter, self._batch, self._seed, self._parallel = cutter, batch, seed, parallel
        self._rank, self._processes = rank, processes
        self._by_speaker = [
            own for speaker in cutter.speakers if (own := [r for r in recordings if r.speaker == speaker])
        ]
        self._ends = [np.cumsum([recording.heard.audible for recording in own]) for own in self._by_speaker]

    def __getitem__(self, step: int) -> Batch:
        """Return this process' share of a step's crops."""
        first = (step * self._processes + self._rank) * self._batch
        return stacked([self.drawn(number) for number in range(first, first + self._batch)])

    def drawn(self, number: int) -> Batch:
        """Return the crop of a number, as a batch of one."""
        chance = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 0, number]))
        speaker = chance.integers(len(self._by_speaker))
        ends = self._ends[speaker]
        recording = self._by_speaker[speaker][np.searchsorted(ends, chance.integers(ends[-1]), side="right")]
        start = self._start(recording, chance)
        aligned = self._parallel(recording) if self._parallel else ()
        crop = self._cutter.cut(recording, start, aligned[int(chance.integers(len(aligned)))] if aligned else None)
        # The noise level differs from crop to crop, so that the model sees clean input as well.
        jitter = chance.integers(-JITTER, JITTER + 1, crop.jitter.shape) * chance.random()
        return crop._replace(jitter=torch.from_numpy(np.round(jitter).astype(np.int64)))

    def _start(self, recording: Recording, chance: np.random.Generator) -> int:
        """Return a random start of a crop within an audible part, earlier by the unscored samples."""
        lengths = np.array([end - start for start, end in recording.heard.spans])
        start, end = recording.heard.spans[chance.choice(len(lengths), p=lengths / lengths.sum())]
        earliest, latest = start - self._cutter.unscored, end - self._cutter.length
        return int(chance.integers(earliest, max(latest, earliest) + 1))


class FromStep(Sampler[int]):
    """The numbers of the steps from `first` to the last of `steps`."""

    def __init__(self, first: int, steps: int) -> None:
        self._first, self._steps = first, steps

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._first, self._steps))

    def __len__(self) -> int:
        return self._steps


class ValidationBatch(Dataset[Batch]):
    """Fixed crops of held-out recordings: a batch per speaker, spread evenly over the recordings."""

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
    """Return which samples have sound at most `reach` samples before or after them."""
    return np.asarray(maximum_filter1d(np.abs(sound), 2 * reach + 1, mode="constant") > _QUIET)


def stacked(crops: Sequence[Batch]) -> Batch:
    """Return batches concatenated."""
    return Batch(*(torch.cat(part) for part in zip(*crops, strict=True)))


def _spread(recordings: Sequence[Recording], length: int, crops: int) -> Iterator[tuple[Recording, int]]:
    """Yield `crops` places, recording and start sample, evenly spread over the audible parts."""
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
