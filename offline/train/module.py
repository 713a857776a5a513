"""The base of all trainers: a Lightning module with a network, the moving average of its weights, and a schedule."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from gramophone.offline.train.crops import Batch, FromStep
from gramophone.offline.train.plan import TrainingError, TrainingPlan


class Training(LightningModule):
    """A network in training; subclasses define the loss and the batches.

    The learning rate is a function of the share of the run that is done, so a state of the weights, Adam's moments, the
    moving average and the seconds spent is enough to resume.
    """

    def __init__(self, net: nn.Module, plan: TrainingPlan) -> None:
        super().__init__()
        self.net = net
        self.plan = plan
        self.average = AveragedModel(net, multi_avg_fn=partial(_average, plan.average))
        self.average.requires_grad_(False)
        self._spent_before, self._started = 0.0, time.monotonic()

    @abstractmethod
    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the loss, a scalar."""

    @abstractmethod
    def crops(self, rank: int, processes: int) -> Dataset[Batch]:
        """Return this process' training batches by step."""

    @abstractmethod
    def validation_batches(self) -> Dataset[Batch]:
        """Return the validation batches, one for each of `validation_names`."""

    @property
    @abstractmethod
    def validation_names(self) -> tuple[str, ...]:
        """The names of the validation batches, such as speakers."""

    @property
    def averaged(self) -> nn.Module:
        """The network with averaged weights."""
        net: nn.Module = self.average.module
        return net

    @property
    def spent_s(self) -> float:
        """Seconds of wall time spent, over all interruptions."""
        return self._spent_before + time.monotonic() - self._started

    @property
    def done(self) -> float:
        """The share of the run that is done, 0 to 1."""
        share = self.global_step / self.plan.steps
        return min(max(share, self.spent_s / 60 / self.plan.minutes) if self.plan.minutes else share, 1.0)

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Seed by the number of the step, so that a resumed run draws the same random numbers.

        Each process draws others: the noise of one must not come again in the next.
        """
        torch.manual_seed(self.plan.seed << 32 ^ self.global_rank << 24 | self.global_step)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of a step.

        Raises:
            TrainingError: it is not finite.
        """
        loss = self.loss(self.net, batch)
        self._check(loss, "loss")
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam over the network alone."""
        return torch.optim.Adam(self.net.parameters(), self.plan.peak, betas=(0.9, 0.99))

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip the gradients' norm.

        Raises:
            TrainingError: it is not finite.
        """
        self._check(torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.plan.clip), "gradient")

    def optimizer_step(self, epoch: int, index: int, optimizer: Any, closure: Any = None) -> None:
        """Take a step at the scheduled learning rate, and update the average."""
        warmth = min((self.global_step + 1) / self.plan.warmup, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = self.plan.peak * warmth * (1 + math.cos(math.pi * self.done)) / 2
        optimizer.step(closure=closure)
        self.average.update_parameters(self.net)

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop when the plan's time is up."""
        if self.done >= 1:
            self.trainer.should_stop = True

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log the averaged network's loss on one validation batch."""
        self.log(f"held_out/{self.validation_names[index]}", self.loss(self.averaged, batch), batch_size=1)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches from the current step on."""
        crops = self.crops(self.global_rank, self.trainer.world_size)
        return DataLoader(crops, batch_size=None, sampler=FromStep(self.global_step, self.plan.steps))

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the validation batches."""
        return DataLoader(self.validation_batches(), batch_size=None)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the time spent."""
        checkpoint["spent_s"] = self.spent_s

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the time spent."""
        self._spent_before, self._started = float(checkpoint["spent_s"]), time.monotonic()

    def _check(self, value: Tensor, what: str) -> None:
        if not value.isfinite():
            raise TrainingError(
                f"step {self.global_step + 1}: the {what} is {value.item()}; the state before it is kept. "
                "Try a lower --peak, or --precision 32-true"
            )


@torch.no_grad()
def _average(most: float, averaged: Any, current: Any, updates: Tensor) -> None:
    """Update the moving average with a decay that grows with the number of updates, to `most`.

    A long memory from the start would retain the initial weights.
    """
    memory = min(most, (1 + int(updates)) / (10 + int(updates)))
    torch._foreach_lerp_(averaged, current, 1 - memory)
