"""A training run from its plan to a checkpoint; the same call starts a run and resumes it."""

from __future__ import annotations

import copy
import json
import logging
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gramophone.models.checkpoint import Card, save
from gramophone.offline.data.corpus import Corpus, gather
from gramophone.offline.data.shards import PREFIX, gathered_shards
from gramophone.offline.data.text import unknown_words
from gramophone.offline.train.callbacks import Clock, LogLosses, SaveState, WriteModel
from gramophone.offline.train.log_lines import show
from gramophone.offline.train.module import Training
from gramophone.offline.train.plan import TrainingError, TrainingPlan
from gramophone.offline.train.plans import WaveNetPlan
from gramophone.offline.train.precision import precision_on
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.samples import write_sounds
from gramophone.offline.train.wavenet import WaveNetTraining, conditions_of
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.kernels.executor import choose_device
from gramophone.realtime.stages.wavenet.sampler import Sampler

_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""What torchrun sets in the environment of each process that it starts."""
_RENDEZVOUS = frozenset({"MASTER_ADDR", "SLURM_NTASKS"})
"""Environment variables of which one tells processes where to meet."""


Tell = Callable[[dict[str, Any]], None]
"""Takes the lines described in `log_lines`."""


@dataclass(frozen=True)
class Machine:
    """The hardware of a run: a device (`auto`, `cpu`, `cuda` or `mps`), processes per machine, machines.

    Raises:
        DeviceError: this machine has no such device.
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        choose_device(self.device)


def launched(machine: Machine) -> Machine:
    """Return the processes that `torchrun` has started, where it has; else the machine as it is.

    Raises:
        TrainingError: the command asks for others besides.
    """
    if _TORCHRUN not in os.environ:
        return machine
    devices, processes = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if (machine.devices, machine.nodes) not in ((1, 1), (devices, processes // devices)):
        asked = f"--devices {machine.devices} --nodes {machine.nodes}"
        raise TrainingError(f"{asked}: torchrun has started {processes} processes; leave both out")
    return replace(machine, devices=devices, nodes=processes // devices)


def train_wavenet(plan: WaveNetPlan, folder: RunFolder, machine: Machine, sample_s: float, tell: Tell = show) -> None:
    """Train a WaveNet, or resume its run; the model is written to the folder at each validation and at the end.

    Args:
        plan: what to train on, and how.
        folder: of the run; an interrupted run in it is resumed.
        machine: the devices to train on.
        sample_s: seconds of generated sound per speaker to write at each validation; 0: none.
        tell: called with what the run is doing and with each report (`log_lines`); prints them by default.

    Raises:
        DataError: there are no usable recordings.
        TrainingError: the folder holds a run of another plan, the plan does not fit, or the loss is not finite.
    """
    corpus = gathered(plan, folder, tell)
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
    names = training.validation_names
    sounds = Sampler(net, len(names)).generate(frames, conditions.numpy())
    write_sounds(dict(zip(names, sounds, strict=True)), training.plan.rate, stem)


def gathered(plan: TrainingPlan, folder: RunFolder, tell: Tell) -> Corpus:
    """Return the corpus of a plan, and write a report of it to the run's folder.

    Raises:
        DataError, TrainingError: as `train_wavenet`.
    """
    tell({"words": f"reading the recordings of {', '.join(plan.data)}"})
    if any(place.startswith(PREFIX) for place in plan.data):
        corpus: Corpus = gathered_shards(plan.data, plan.rate, plan.speakers)
    else:
        corpus = gather(plan.data, plan.rate, speakers=plan.speakers, layout=plan.layout)
        if not corpus.held_out:
            raise TrainingError(
                f"{', '.join(plan.data)}: of {len(corpus.recordings)} recordings none is held out to judge by, and the "
                "model is written as it is judged; about one in four is, by its name: cut them into more files, or "
                "rename some"
            )
    folder.begin(plan, corpus.fingerprint)
    with atomic_write(folder.data) as part:
        part.write_text(json.dumps(corpus.as_dict(), indent=1), "utf-8")
    report = "\n".join(corpus.report()) + "\n"
    with atomic_write(folder.data.with_suffix(".txt")) as part:
        part.write_text(report, "utf-8")
    if corpus.dropped:
        tell({"words": f"{len(corpus.dropped)} left out; {folder.data.with_suffix('.txt')} says which and why"})
    tell({"words": f"{len(corpus.recordings)} recordings of {len(corpus.speakers)} speakers; preparing them"})
    return corpus


def fit(
    training: Training,
    folder: RunFolder,
    machine: Machine,
    write: Callable[[int, dict[str, float]], None],
    tell: Tell,
    clock: Clock = time.monotonic,
) -> None:
    """Run Lightning's trainer from the folder's state, or from the start, to the end of the plan.

    Args:
        training: the network in training.
        folder: of the run; holds its state and its log.
        machine: the devices to train on.
        write: called at each validation with the step and the validation losses; writes the model.
        tell: called with each report (`log_lines`).
        clock: by which states and reports are due.

    Raises:
        TrainingError: the plan does not suit several processes, or the loss is not finite.
    """
    from lightning.pytorch import Trainer

    plan = training.plan
    machine = launched(machine)
    if plan.minutes and machine.devices * machine.nodes > 1:
        raise TrainingError("--minutes: the clocks of several processes differ; expected --steps alone")
    if machine.nodes > 1 and not _RENDEZVOUS.intersection(os.environ):
        raise TrainingError(
            f"--nodes {machine.nodes}: no address at which the machines meet; expected MASTER_ADDR and NODE_RANK in "
            "the environment, as in docs/training.md"
        )
    warnings.filterwarnings("ignore", module="lightning")  # its advice on loaders and loggers does not apply
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    log = LogLosses(folder, tell, clock)
    trainer = Trainer(
        accelerator="gpu" if machine.device == "cuda" else machine.device,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy="ddp" if machine.devices * machine.nodes > 1 else "auto",
        precision=precision_on(choose_device(machine.device), plan.precision),  # type: ignore[arg-type]
        max_epochs=-1,
        max_steps=plan.steps,
        val_check_interval=plan.every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        sync_batchnorm=machine.device != "cpu" and torch.cuda.is_available(),  # torch has it for GPUs alone
        callbacks=[SaveState(folder, clock), log, WriteModel(write)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(training, ckpt_path=str(folder.state) if folder.state.is_file() else None)
    if log.validated_at != trainer.global_step:
        trainer.validate(training, verbose=False)
