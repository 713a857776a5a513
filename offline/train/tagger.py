"""Training of taggers on tagged music, on the trainer that all models share."""

from __future__ import annotations

import copy
import functools
import math
from abc import abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.tagger import RATE, LogMelImage, Tagger, TaggerShape
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.magnatagatune import Clips, TaggedMusic, gather_tagged
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.data.recording import Recording
from gramophone.offline.train.augmentation import (
    FASTEST,
    at_length,
    both,
    coloured,
    contrasted,
    drawn_speed,
    equalised,
    spaced,
    together,
    transposed,
)
from gramophone.offline.train.module import Training
from gramophone.offline.train.plans import TaggerPlan
from gramophone.offline.train.ranking_metrics import pr_auc, roc_auc
from gramophone.offline.train.run import Machine, Tell, fit
from gramophone.offline.train.run_folder import RunFolder
from gramophone.presets.atomic import atomic_write

VALIDATION_CHUNKS = 256
"""Validation clips used while training; one chunk of each."""


class TaggerTraining(Training):
    """A tagger in training; the loss is in bits per tag."""

    validation_names = ("validation",)
    plan: TaggerPlan

    def __init__(self, plan: TaggerPlan, music: TaggedMusic) -> None:
        torch.manual_seed(plan.seed)
        net = Tagger(TaggerShape(music.tags, plan.network, plan.bands))
        super().__init__(net, plan)
        self._music, self._chunk = music, net.chunk

    @property
    def averaged(self) -> Tagger:
        """The network with averaged weights."""
        return cast(Tagger, self.average.module)

    def loss(self, net: nn.Module, batch: Any) -> Tensor:
        """Return the cross-entropy, the mean over tags."""
        inputs, labels = batch
        tagger = cast(Tagger, net)
        is_levels = inputs.dim() == 3
        logits = tagger.logits(cast(LogMelImage, tagger.front).image(inputs)) if is_levels else tagger(inputs)
        return F.binary_cross_entropy_with_logits(logits.float(), labels) / math.log(2)

    def crops(self, rank: int, processes: int) -> Dataset[Any]:
        """Return the batches by step."""
        drawn = self._music.parts["training"], self._chunk, self.plan, rank, processes
        front = cast(Tagger, self.net).front
        if isinstance(front, LogMelImage):
            return LevelCrops(*drawn, LogMelImage(self.plan.bands))
        return SoundCrops(*drawn)

    def validation_batches(self) -> Dataset[Any]:
        """Return a chunk of each of some validation clips, as one batch."""
        return ValidationChunks(self._music.parts["validation"], self._chunk)

    @torch.inference_mode()
    def scores(self) -> dict[str, float]:
        """Return ROC-AUC and PR-AUC of the averaged network on the validation chunks, means over tags that occur."""
        inputs, labels = self.validation_batches()[0]
        net = copy.deepcopy(self.averaged).cpu().eval()
        found = np.concatenate([net.probabilities(part).numpy() for part in inputs.split(self.plan.batch)])
        wanted = labels.numpy() > 0
        return {
            "roc_auc": float(np.nanmean(roc_auc(wanted, found))),
            "pr_auc": float(np.nanmean(pr_auc(wanted, found))),
        }


class TaggedCrops(Dataset[tuple[Tensor, Tensor]]):
    """Batch number `step`: chunks from anywhere in clips drawn alike, and their tags, `(B, K)` of 0 and 1.

    Each chunk is augmented at random, and some are the sum of two.
    """

    def __init__(self, clips: Clips, chunk: int, plan: TaggerPlan, rank: int, processes: int) -> None:
        self.clips, self.chunk = clips, chunk
        self._plan, self._rank, self._processes = plan, rank, processes

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return this process' share of a step's chunks."""
        first = (step * self._processes + self._rank) * self._plan.batch
        chunks, labels = zip(*(self._drawn(number) for number in range(first, first + self._plan.batch)), strict=True)
        return torch.from_numpy(np.stack(chunks)), torch.from_numpy(np.stack(labels).astype(np.float32))

    @abstractmethod
    def varied(self, place: int, chance: np.random.Generator) -> Sound:
        """Return an augmented chunk from anywhere in a clip."""

    @abstractmethod
    def mixed(self, one: Sound, other: Sound, chance: np.random.Generator) -> Sound:
        """Return two chunks at once."""

    def _drawn(self, number: int) -> tuple[Sound, NDArray[np.bool_]]:
        chance = np.random.Generator(np.random.Philox(key=self._plan.seed, counter=[0, 0, 0, number]))
        chunk, labels = self._tagged(chance)
        if chance.random() < self._plan.mixed:
            other, more = self._tagged(chance)
            return self.mixed(chunk, other, chance), labels | more
        return chunk, labels

    def _tagged(self, chance: np.random.Generator) -> tuple[Sound, NDArray[np.bool_]]:
        place = int(chance.integers(len(self.clips.recordings)))
        return self.varied(place, chance), np.asarray(self.clips.labels[place])


class SoundCrops(TaggedCrops):
    """Chunks of sound, `(B, T)`, each at another speed and through another equaliser."""

    def varied(self, place: int, chance: np.random.Generator) -> Sound:
        """Return a chunk from anywhere in a clip."""
        recording = self.clips.recordings[place]
        size = round(self.chunk * drawn_speed(chance))
        start = int(chance.integers(max(recording.heard.frames - size, 0) + 1))
        return equalised(at_length(cut(recording, start, size), self.chunk), chance)

    def mixed(self, one: Sound, other: Sound, chance: np.random.Generator) -> Sound:
        """Return two chunks at once."""
        return together(one, other, chance)


class LevelCrops(TaggedCrops):
    """Chunks of log-mel levels, `(B, bands, n)`, each varied by itself.

    It is in another key and tempo, through another equaliser, with more or less dynamics. Of each clip that was drawn
    the levels are cached, in half precision: 24 KB of 6 s.
    """

    def __init__(
        self, clips: Clips, chunk: int, plan: TaggerPlan, rank: int, processes: int, front: LogMelImage
    ) -> None:
        super().__init__(clips, chunk, plan, rank, processes)
        self._front = front
        self._frames = front.levels(torch.zeros(1, chunk)).shape[2]
        self._known = functools.cache(self._levels)

    def varied(self, place: int, chance: np.random.Generator) -> Sound:
        """Return a chunk from anywhere in a clip."""
        levels = self._known(place).astype(np.float32)
        tempo, key = drawn_speed(chance), drawn_speed(chance)
        start = chance.uniform(0, max(levels.shape[1] - 1 - tempo * (self._frames - 1), 0))
        return contrasted(coloured(transposed(spaced(levels, start, tempo, self._frames), key), chance), chance)

    def mixed(self, one: Sound, other: Sound, chance: np.random.Generator) -> Sound:
        """Return two chunks at once."""
        return both(one, other, chance)

    @torch.inference_mode()
    def _levels(self, place: int) -> NDArray[np.float16]:
        recording = self.clips.recordings[place]
        whole = cut(recording, 0, max(recording.heard.frames, round(self.chunk * FASTEST)))
        return self._front.levels(torch.from_numpy(whole)[None])[0].numpy().astype(np.float16)


class ValidationChunks(Dataset[tuple[Tensor, Tensor]]):
    """The middles of some clips, always the same, as a single batch."""

    def __init__(self, clips: Clips, chunk: int) -> None:
        self._clips, self._chunk = clips, chunk

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return it."""
        recordings = self._clips.recordings
        places = np.unique(np.linspace(0, len(recordings) - 1, VALIDATION_CHUNKS).round().astype(int)).tolist()
        middles = [max(recordings[place].heard.frames - self._chunk, 0) // 2 for place in places]
        chunks = [cut(recordings[place], start, self._chunk) for place, start in zip(places, middles, strict=True)]
        return torch.from_numpy(np.stack(chunks)), torch.from_numpy(self._clips.labels[places].astype(np.float32))


def cut(recording: Recording, start: int, chunk: int) -> Sound:
    """Return `chunk` samples from `start` on; a recording that is over begins again."""
    found = sound(recording, start, start + chunk)
    return np.resize(found, chunk) if len(found) < chunk else found


def train_tagger(plan: TaggerPlan, folder: RunFolder, machine: Machine, tell: Tell) -> None:
    """Train a tagger, or resume the run in the folder; the model is written to the folder.

    Raises:
        DataError: the tagged music cannot be read.
        TrainingError: the folder holds a run of another plan, or the loss is not finite.
    """
    tell({"words": f"reading the clips of {plan.data[0]}"})
    music = gather_tagged(Path(plan.data[0]), plan.split, plan.top)
    folder.begin(plan, music.fingerprint)
    report = "\n".join(music.report()) + "\n"
    with atomic_write(folder.data.with_suffix(".txt")) as part:
        part.write_text(report, "utf-8")
    if music.dropped:
        kinds = Counter(item.kind for item in music.dropped).most_common()
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds)
        tell({"words": f"clips left out: {counted}; they are named in {folder.data.with_suffix('.txt')}"})
    training = TaggerTraining(plan, music)

    def write(step: int, scores: dict[str, float]) -> None:
        ranks = training.scores()
        card = Card(RATE, data=music.sources, licence=music.licence, steps=step, scores={**scores, **ranks})
        save(folder.model, training.averaged, card)
        tell({"step": step, "seconds": round(training.spent_s, 1), "held_out": ranks})

    fit(training, folder, machine, write, tell)
