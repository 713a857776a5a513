"""What happens beside training: the state is kept, figures are noted, the model and examples of it are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from gramophone.offline.train.module import Training
from gramophone.offline.train.plan import RunFolder
from gramophone.presets.atomic import atomic_write

_NOTED = 50
"""Steps per line of the log."""
_KEPT = 100
"""Steps between states: a kill costs at most so many."""


class KeepState(Callback):
    """Writes the state every so many steps and at the end, whole or not at all."""

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.state

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Write the state if it is due."""
        if trainer.global_step % _KEPT == 0:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Write the last state."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            with atomic_write(self._path) as part:
                trainer.save_checkpoint(part)
        else:
            trainer.save_checkpoint(self._path)  # all processes take part; the first alone writes


class Journal(Callback):
    """Notes figures in the log, one JSON object a line, and tells people; what a resumed run will redo is dropped."""

    def __init__(self, folder: RunFolder, tell: Callable[[dict[str, Any]], None]) -> None:
        self._path, self._tell = folder.log, tell
        self._losses: list[torch.Tensor] = []
        self.judged_at = -1

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Drop the lines of steps that are not done yet."""
        if trainer.is_global_zero and self._path.is_file():
            lines = self._path.read_text("utf-8").splitlines()
            _rewrite(self._path, [line for line in lines if _step(line) <= trainer.global_step])

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, *_: Any) -> None:
        """Note the mean loss of the last steps."""
        self._losses.append(outputs["loss"].detach())
        if trainer.global_step % _NOTED == 0:
            self._note(trainer, module, {"bits": float(torch.stack(self._losses).mean())})
            self._losses.clear()

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        """Note what the held-out recordings cost."""
        self.judged_at = trainer.global_step
        self._note(trainer, module, {"held_out": scores(trainer)})

    def _note(self, trainer: Trainer, module: Training, figures: dict[str, Any]) -> None:
        if trainer.is_global_zero:
            line = {"step": trainer.global_step, "seconds": round(module.spent_s, 1), **figures}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self._tell(line)


class KeepModel(Callback):
    """Writes the model with averaged weights, and examples of what it does, whenever it was judged."""

    def __init__(self, write: Callable[[int, dict[str, float]], None]) -> None:
        self._write = write

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        """Write them."""
        if trainer.is_global_zero:
            self._write(trainer.global_step, scores(trainer))


def scores(trainer: Trainer) -> dict[str, float]:
    """Return the held-out losses by name, and their mean as `mean`."""
    found = {
        name.removeprefix("held_out/"): float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith("held_out/")
    }
    return {**found, "mean": sum(found.values()) / max(len(found), 1)}


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # cut off by the kill


def _rewrite(path: Path, lines: list[str]) -> None:
    with atomic_write(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")
