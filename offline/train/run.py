"""A training run from its plan to a checkpoint; the same call begins one and goes on with one."""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gramophone.models.checkpoint import Card, save
from gramophone.offline.data.corpus import Corpus, gather
from gramophone.offline.data.text import unknown_words
from gramophone.offline.train.callbacks import Journal, KeepModel, KeepState
from gramophone.offline.train.module import Training
from gramophone.offline.train.plan import RunFolder, TrainingError, TrainingPlan
from gramophone.offline.train.samples import write_sounds
from gramophone.offline.train.wavenet import WaveNetPlan, WaveNetTraining, conditions_of
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.kernels.executor import choose_device
from gramophone.realtime.stages.wavenet.sampler import Sampler

_MEETING = frozenset({"MASTER_ADDR", "SLURM_NTASKS"})
"""What tells a process where others are to be met: one's own word, or Slurm."""


@dataclass(frozen=True)
class Machine:
    """What to train on: a device (`auto`, `cpu`, `cuda` or `mps`), processes per machine, machines.

    Raises:
        DeviceError: there is no such device here.
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        choose_device(self.device)


def train_wavenet(plan: WaveNetPlan, folder: RunFolder, machine: Machine, sample_s: float, tell: Any = print) -> None:
    """Train a WaveNet, or go on with it; the model is in the folder whenever it was judged, and at the end.

    Raises:
        DataError: there is nothing to learn from.
        TrainingError: another run was begun in the folder, the plan does not fit, or the loss is not a number.
    """
    corpus = gathered(plan, folder)
    training = WaveNetTraining(plan, corpus)
    for line in unknown_words(training.encoder) if training.encoder else ():
        tell({"words": line})

    def write(step: int, scores: dict[str, float]) -> None:
        save(folder.model, training.averaged, _card(training, plan, corpus, step, scores))
        if sample_s:
            stem = folder.at / "samples" / f"step-{step:07d}"
            _write_samples(training, sample_s, stem)

    fit(training, folder, machine, write, tell)


def _card(training: WaveNetTraining, plan: WaveNetPlan, corpus: Corpus, step: int, scores: dict[str, float]) -> Card:
    notes = {name: Path(getattr(plan, name)).name for name in ("text", "local") if getattr(plan, name)}
    return Card(
        plan.rate,
        hop=training.shape.hop,
        speakers=corpus.speakers if plan.conditional else (),
        data=corpus.sources,
        licence=corpus.licence,
        steps=step,
        scores=scores,
        notes=notes,
    )


def _write_samples(training: WaveNetTraining, seconds: float, stem: Path) -> None:
    net = copy.deepcopy(training.averaged).cpu().eval()
    batch = training.examples(seconds)
    frames = batch.sound.shape[2] - 1
    with torch.inference_mode():
        conditions = conditions_of(net, batch)
    names = training.judged_names
    sounds = Sampler(net, len(names)).generate(frames, conditions.numpy())
    write_sounds(dict(zip(names, sounds, strict=True)), training.plan.rate, stem)


def gathered(plan: TrainingPlan, folder: RunFolder) -> Corpus:
    """Return the corpus of a plan, with its report in the run's folder.

    Raises:
        DataError, TrainingError: as `train_wavenet`.
    """
    corpus = gather(plan.data, plan.rate, speakers=plan.speakers, layout=plan.layout)
    folder.begin(plan, corpus.fingerprint)
    with atomic_write(folder.data) as part:
        part.write_text(json.dumps(corpus.as_dict(), indent=1), "utf-8")
    report = "\n".join(corpus.report()) + "\n"
    with atomic_write(folder.data.with_suffix(".txt")) as part:
        part.write_text(report, "utf-8")
    return corpus


def fit(
    training: Training,
    folder: RunFolder,
    machine: Machine,
    write: Callable[[int, dict[str, float]], None],
    tell: Callable[[dict[str, Any]], None],
) -> None:
    """Run Lightning's trainer from where the folder's state is to the end of the plan."""
    from lightning.pytorch import Trainer

    plan = training.plan
    if plan.minutes and machine.devices * machine.nodes > 1:
        raise TrainingError("--minutes: the clocks of several processes differ; expected --steps alone")
    if machine.nodes > 1 and not _MEETING.intersection(os.environ):
        raise TrainingError(
            f"--nodes {machine.nodes}: nobody says where the machines meet; expected MASTER_ADDR and NODE_RANK in the "
            "environment, as in docs/training.md"
        )
    warnings.filterwarnings("ignore", module="lightning")  # they advise on loaders and loggers that are as meant
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    journal = Journal(folder, tell)
    trainer = Trainer(
        accelerator="gpu" if machine.device == "cuda" else machine.device,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy="ddp" if machine.devices * machine.nodes > 1 else "auto",
        precision=plan.precision,  # type: ignore[arg-type]
        max_epochs=-1,
        max_steps=plan.steps,
        val_check_interval=plan.every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[KeepState(folder), journal, KeepModel(write)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(training, ckpt_path=str(folder.state) if folder.state.is_file() else None)
    if journal.judged_at != trainer.global_step:
        trainer.validate(training, verbose=False)
