"""Crops of recordings in shards, each a function of the seed and its number, as those of recordings in folders are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from torch.utils.data import Dataset

from gramophone.offline.data.corpus import Corpus
from gramophone.offline.data.recording import Recording
from gramophone.offline.data.shards import ShardedCorpus
from gramophone.offline.train.crops import Batch, Cutter, TrainingCrops, stacked

OPEN = 4
"""Shards that crops come from at a time, in turn, so that a batch mixes them."""
CROPS_A_VISIT = 512
"""Crops taken from a shard before the next one takes its place."""

Parallel = Callable[[Recording], Sequence[Recording]]


def training_crops(
    corpus: Corpus,
    cutter: Cutter,
    batch: int,
    seed: int,
    rank: int,
    processes: int,
    parallel: Parallel | None = None,
) -> Dataset[Batch]:
    """Return a corpus' training batches by step, of its recordings or its shards."""
    if isinstance(corpus, ShardedCorpus):
        return ShardCrops(corpus, cutter, batch, seed, rank, processes)
    return TrainingCrops(corpus.training, cutter, batch, seed, rank, processes, parallel)


class ShardCrops(Dataset[Batch]):
    """Batch number `step`; crops come from four shards in turn, each visited once an epoch, in random order.

    Which shard a crop is from, and which part of it, depends on the seed and the crop's number alone: a run that was
    killed goes on with the very crop, on any number of processes, after fetching the shards that are open then.
    """

    def __init__(self, corpus: ShardedCorpus, cutter: Cutter, batch: int, seed: int, rank: int, processes: int) -> None:
        self._corpus, self._cutter, self._batch, self._seed = corpus, cutter, batch, seed
        self._rank, self._processes = rank, processes
        self._open = min(OPEN, len(corpus.index.training))
        self._crops: OrderedDict[int, TrainingCrops] = OrderedDict()

    def __getitem__(self, step: int) -> Batch:
        """Return this process' share of a step's crops."""
        first = (step * self._processes + self._rank) * self._batch
        return stacked([self._of(self.shard_of(n)).drawn(n) for n in range(first, first + self._batch)])

    def shard_of(self, number: int) -> int:
        """Return which shard a crop comes from."""
        round_, within = divmod(number, self._open * CROPS_A_VISIT)
        epoch, place = divmod(round_ * self._open + within % self._open, len(self._corpus.index.training))
        order = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 2, epoch]))
        return int(order.permutation(len(self._corpus.index.training))[place])

    def _of(self, shard: int) -> TrainingCrops:
        recordings = self._corpus.shard(shard)  # also where its crops are known: the disk keeps the latest
        if shard not in self._crops:
            while len(self._crops) >= self._corpus.most_kept:
                self._crops.popitem(last=False)
            self._crops[shard] = TrainingCrops(recordings, self._cutter, self._batch, self._seed)
        self._crops.move_to_end(shard)
        return self._crops[shard]
