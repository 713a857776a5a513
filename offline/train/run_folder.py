"""The folder of a training run and what is in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from gramophone.offline.train.plan import AUTO_PRECISION, TrainingError, TrainingPlan
from gramophone.presets.atomic import atomic_write

P = TypeVar("P", bound=TrainingPlan)


@dataclass(frozen=True)
class RunFolder:
    """The files of a run: its plan, a report of its data, its state, its log, and the model."""

    at: Path

    @property
    def plan(self) -> Path:
        """The plan and the data's fingerprint."""
        return self.at / "plan.json"

    @property
    def data(self) -> Path:
        """The corpus' report as data; `data.txt` is the same for people."""
        return self.at / "data.json"

    @property
    def state(self) -> Path:
        """The state that training resumes from."""
        return self.at / "state.ckpt"

    @property
    def log(self) -> Path:
        """The losses, one JSON object a line."""
        return self.at / "log.jsonl"

    @property
    def model(self) -> Path:
        """The averaged weights as a checkpoint of Gramophone's."""
        return self.at / "model.safetensors"

    def exists(self) -> bool:
        """Return whether the folder holds a run."""
        return self.plan.is_file()

    def is_trained(self) -> bool:
        """Return whether the folder holds weights that a run of another plan would overwrite."""
        return self.state.is_file() or self.model.is_file()

    def read(self) -> dict[str, Any]:
        """Return the plan of the run, as JSON values.

        Raises:
            TrainingError: there is none, or it cannot be read.
        """
        try:
            found: dict[str, Any] = json.loads(self.plan.read_text("utf-8"))
        except FileNotFoundError:
            raise TrainingError(f"{self.at}: no run was begun here; say what to train on") from None
        except (OSError, ValueError) as error:
            raise TrainingError(f"{self.plan}: cannot be read ({error})") from None
        return found

    def begin(self, plan: TrainingPlan, fingerprint: str) -> None:
        """Write the plan; if the folder holds trained weights, check that their plan is the same.

        Raises:
            TrainingError: the folder holds a run of another plan; the message names the difference. Or it holds what
                the run would write, of no run.
        """
        wanted = {**asdict(plan), "fingerprint": fingerprint}
        if self.exists() and self.is_trained():
            found = {
                **asdict(type(plan)()),
                **plan.renamed(self.read()),
            }  # an option that did not exist then had its default
            if plan.precision == AUTO_PRECISION:  # the default of earlier versions was one of what it stands for
                found["precision"] = AUTO_PRECISION
            other = [key for key in wanted if _listed(wanted[key]) != _listed(found.get(key))]
            if other:
                difference = "; ".join(f"{key} was {found.get(key)!r}, now {wanted.get(key)!r}" for key in other)
                raise TrainingError(f"{self.at}: another run was begun here ({difference}); use another folder")
            return
        if self.is_trained() and not self.exists():
            raise TrainingError(f"{self.at}: holds a model already, and no run that goes on; use another folder")
        self.at.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.plan) as part:
            part.write_text(json.dumps(wanted, indent=1), "utf-8")


def _listed(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def begun_plan(kind: type[P], folder: RunFolder) -> P:
    """Return the plan of an earlier run.

    Raises:
        TrainingError: as `RunFolder.read`, or the run is of another kind of model.
    """
    values = kind.renamed(folder.read())
    known = {item.name for item in fields(kind)}
    unknown = sorted(values.keys() - known - {"fingerprint"})
    if unknown:
        raise TrainingError(f"{folder.plan}: a run of another kind ({', '.join(unknown)}); expected {kind.__name__}")
    return kind.from_dict({key: value for key, value in values.items() if key in known})
