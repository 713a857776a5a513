"""Lightning callbacks of a run: they save its state, log its losses, and write the model and examples of its output."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from gramophone.offline.train.module import Training
from gramophone.offline.train.run_folder import RunFolder
from gramophone.presets.atomic import atomic_write

_STEPS_PER_LINE = 50
"""Steps between lines of the log."""
_STEPS_PER_STATE = 100
"""Steps between states."""
_STATE_S = 30.0
"""Longest time between states, in seconds: a run that is killed loses at most this, or one step."""
_REPORT_S = 5.0
"""Longest time between reports to the caller, in seconds, or one step."""

Clock = Callable[[], float]
"""Seconds since some fixed moment."""


class SaveState(Callback):
    """Saves the state atomically: after the first step, every 30 s or 100 steps, and at the end."""

    def __init__(self, folder: RunFolder, clock: Clock = time.monotonic) -> None:
        self._path, self._clock = folder.state, clock
        self._saved_s: float | None = None

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Save the state if it is due."""
        late = self._saved_s is None or self._clock() - self._saved_s >= _STATE_S
        if trainer.world_size > 1:  # the clocks of processes differ, but all save together
            late = trainer.strategy.reduce_boolean_decision(late, all=False)
        if late or trainer.global_step % _STEPS_PER_STATE == 0:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Save the last state."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            with atomic_write(self._path) as part:
                trainer.save_checkpoint(part)
        else:
            trainer.save_checkpoint(self._path)  # all processes take part; the first alone writes
        self._saved_s = self._clock()


class LogLosses(Callback):
    """Writes losses to the log, one JSON object a line, and reports them to the caller with total and time left.

    The log has a line every 50 steps and at each validation. The caller also gets one after the first step, and when
    5 s have passed since the last. A resumed run drops the lines of the steps that it will repeat.
    """

    def __init__(
        self, folder: RunFolder, tell: Callable[[dict[str, Any]], None], clock: Clock = time.monotonic
    ) -> None:
        self._path, self._tell, self._clock = folder.log, tell, clock
        self._losses: list[torch.Tensor] = []
        self._started_s = self._told_s = 0.0
        self._started_share, self._told = 0.0, False
        self.validated_at = -1

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Drop the lines of steps that are not done yet, and report what begins."""
        self._started_s, self._started_share = self._clock(), module.done
        if not trainer.is_global_zero:
            return
        if self._path.is_file():
            lines = self._path.read_text("utf-8").splitlines()
            _rewrite(self._path, [line for line in lines if _step(line) <= trainer.global_step])
        plan = module.plan
        limit = f", at most {plan.minutes:g} minutes" if plan.minutes else ""
        verb = f"continuing at step {trainer.global_step}" if trainer.global_step else "training"
        self._tell({"words": f"{verb}: {plan.steps} steps{limit} on {module.device.type}, in {self._path.parent}"})

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, *_: Any) -> None:
        """Log the mean loss of the steps since the last line; report it more often."""
        self._losses.append(outputs["loss"].detach())
        is_line = trainer.global_step % _STEPS_PER_LINE == 0
        is_late = not self._told or self._clock() - self._told_s >= _REPORT_S
        if not is_line and not is_late:
            return
        mean = torch.stack(self._losses).mean()
        if is_line and trainer.world_size > 1:  # the same steps in each process; reports between are of one alone
            mean = trainer.strategy.reduce(mean, reduce_op="mean")
        line = self._line(trainer, module, {"bits": float(mean)})
        if is_line:
            self._losses.clear()
            self._write(trainer, line)
        self._report(trainer, module, line)

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        """Log the validation losses."""
        self.validated_at = trainer.global_step
        line = self._line(trainer, module, {"held_out": scores(trainer)})
        self._write(trainer, line)
        self._report(trainer, module, line)

    def _line(self, trainer: Trainer, module: Training, figures: dict[str, Any]) -> dict[str, Any]:
        return {"step": trainer.global_step, "seconds": round(module.spent_s, 1), **figures}

    def _write(self, trainer: Trainer, line: dict[str, Any]) -> None:
        if trainer.is_global_zero:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _report(self, trainer: Trainer, module: Training, line: dict[str, Any]) -> None:
        self._told, self._told_s = True, self._clock()
        if trainer.is_global_zero:
            self._tell({**line, "steps": module.plan.steps, "left_s": self._left_s(module)})

    def _left_s(self, module: Training) -> float | None:
        """Return the seconds left at the pace since this session began; None while nothing is done."""
        share = module.done - self._started_share
        if share <= 0:
            return None
        return round((self._clock() - self._started_s) * (1 - module.done) / share, 1)


class WriteModel(Callback):
    """Writes the model with averaged weights, and examples of its output, at each validation."""

    def __init__(self, write: Callable[[int, dict[str, float]], None]) -> None:
        self._write = write

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        """Write them."""
        if trainer.is_global_zero:
            self._write(trainer.global_step, scores(trainer))


def scores(trainer: Trainer) -> dict[str, float]:
    """Return the validation losses by name, and their mean as `mean`."""
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
        return float("inf")  # cut off when the process was killed


def _rewrite(path: Path, lines: list[str]) -> None:
    with atomic_write(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")
