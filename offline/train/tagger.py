"""Training of taggers on tagged music, on the trainer that all models share."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from gramophone.models.checkpoint import Card, save
from gramophone.models.tagger import RATE, Tagger, TaggerShape
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.decoded import write_whole
from gramophone.offline.data.magnatagatune import Clips, TaggedMusic, gather_tagged
from gramophone.offline.data.recording import Recording
from gramophone.offline.judges.hearing import Sound
from gramophone.offline.ranking import pr_auc, roc_auc
from gramophone.offline.train.module import Training
from gramophone.offline.train.plan import Plan, RunFolder
from gramophone.offline.train.run import Machine, fit
from gramophone.offline.train.variations import at_length, drawn_speed, equalised, together

JUDGED = 256
"""Validation clips that are judged while training; one chunk of each."""


@dataclass(frozen=True)
class TaggerPlan(Plan):
    """How to train a tagger: `TaggerShape`, and which `split` and `top` tags of a set in MagnaTagATune's layout.

    To the share `mixed` of the chunks another clip's is added, and its tags with it: right where tags are what plays.
    """

    rate: int = RATE
    steps: int = 6000
    batch: int = 16
    peak: float = 2e-3
    average: float = 0.998
    every: int = 500
    split: str = "folders"
    top: int = 50
    network: str = TaggerShape.network
    bands: int = TaggerShape.bands
    mixed: float = 0.0


class TaggerTraining(Training):
    """A tagger in training; the loss is in bits per tag."""

    judged_names = ("validation",)
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
        heard, labels = batch
        return F.binary_cross_entropy_with_logits(net(heard).float(), labels) / math.log(2)

    def crops(self, rank: int, processes: int) -> Dataset[Any]:
        """Return the batches by step."""
        return TaggedCrops(self._music.parts["training"], self._chunk, self.plan, rank, processes)

    def judged(self) -> Dataset[Any]:
        """Return a chunk of each of some validation clips, as one batch."""
        return JudgedChunks(self._music.parts["validation"], self._chunk)

    @torch.inference_mode()
    def scores(self) -> dict[str, float]:
        """Return how well the averaged network ranks the judged chunks, the mean over tags that some of them have."""
        heard, labels = self.judged()[0]
        net = copy.deepcopy(self.averaged).cpu().eval()
        found = np.concatenate([net.probabilities(part).numpy() for part in heard.split(self.plan.batch)])
        wanted = labels.numpy() > 0
        return {
            "roc_auc": float(np.nanmean(roc_auc(wanted, found))),
            "pr_auc": float(np.nanmean(pr_auc(wanted, found))),
        }


class TaggedCrops(Dataset[tuple[Tensor, Tensor]]):
    """Batch number `step`: chunks `(B, T)` from anywhere in clips drawn alike, and their tags, `(B, K)` of 0 and 1.

    No chunk is heard twice: each has another speed and equaliser, and some are mixed.
    """

    def __init__(self, clips: Clips, chunk: int, plan: TaggerPlan, rank: int, processes: int) -> None:
        self._clips, self._chunk, self._plan = clips, chunk, plan
        self._rank, self._processes = rank, processes

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return this process' share of a step's chunks."""
        first = (step * self._processes + self._rank) * self._plan.batch
        chunks, labels = zip(*(self._drawn(number) for number in range(first, first + self._plan.batch)), strict=True)
        return torch.from_numpy(np.stack(chunks)), torch.from_numpy(np.stack(labels).astype(np.float32))

    def _drawn(self, number: int) -> tuple[Sound, NDArray[np.bool_]]:
        chance = np.random.Generator(np.random.Philox(key=self._plan.seed, counter=[0, 0, 0, number]))
        chunk, labels = self._varied(chance)
        if chance.random() < self._plan.mixed:
            other, more = self._varied(chance)
            return together(chunk, other, chance), labels | more
        return chunk, labels

    def _varied(self, chance: np.random.Generator) -> tuple[Sound, NDArray[np.bool_]]:
        place = int(chance.integers(len(self._clips.recordings)))
        recording = self._clips.recordings[place]
        size = round(self._chunk * drawn_speed(chance))
        start = int(chance.integers(max(recording.heard.frames - size, 0) + 1))
        chunk = at_length(cut(recording, start, size), self._chunk)
        return equalised(chunk, chance), np.asarray(self._clips.labels[place])


class JudgedChunks(Dataset[tuple[Tensor, Tensor]]):
    """The middles of some clips, always the same, as a single batch."""

    def __init__(self, clips: Clips, chunk: int) -> None:
        self._clips, self._chunk = clips, chunk

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return it."""
        recordings = self._clips.recordings
        places = np.unique(np.linspace(0, len(recordings) - 1, JUDGED).round().astype(int)).tolist()
        middles = [max(recordings[place].heard.frames - self._chunk, 0) // 2 for place in places]
        chunks = [cut(recordings[place], start, self._chunk) for place, start in zip(places, middles, strict=True)]
        return torch.from_numpy(np.stack(chunks)), torch.from_numpy(self._clips.labels[places].astype(np.float32))


def cut(recording: Recording, start: int, chunk: int) -> Sound:
    """Return `chunk` samples from `start` on; a recording that is over begins again."""
    found = sound(recording, start, start + chunk)
    return np.resize(found, chunk) if len(found) < chunk else found


def train_tagger(plan: TaggerPlan, folder: RunFolder, machine: Machine, tell: Callable[[dict[str, Any]], None]) -> None:
    """Train, or go on where the run in the folder was stopped; its model is in the folder.

    Raises:
        DataError: the tagged music cannot be read.
        TrainingError: another run was begun there, or the loss is not a number.
    """
    music = gather_tagged(Path(plan.data[0]), plan.split, plan.top)
    folder.begin(plan, music.fingerprint)
    report = "\n".join(music.report()) + "\n"
    write_whole(folder.data.with_suffix(".txt"), lambda file: file.write(report.encode()))
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
