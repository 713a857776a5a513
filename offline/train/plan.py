"""What a training run is: everything that its result depends on, kept in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from gramophone.presets.atomic import atomic_write


class TrainingError(RuntimeError):
    """Training cannot start or go on; the message says what was found and what to do."""


T = TypeVar("T")


def option(
    default: T,
    text: str,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
) -> T:
    """Return a dataclass field with a default and the metadata from which a command line option is made.

    The field's `metadata` holds `help`, one plain sentence; `range`, the least and the most value allowed, both
    inclusive, `None` where open; `choices`, the strings allowed, empty for any; and `unit`, empty for none.
    """
    metadata = {"help": text, "range": (least, most), "choices": choices, "unit": unit}
    made: T = field(default=default, metadata=metadata)
    return made


@dataclass(frozen=True)
class TrainingPlan:
    """How to train a model of any kind: data, duration, optimiser and validation.

    The optimiser is Adam (Kingma and Ba 2015). Its learning rate rises linearly to `peak` over `warmup` steps and falls
    as a cosine to 0 at the end of the run. The model that is saved has the exponential moving average of the weights.
    """

    data: tuple[str, ...] = option((), "Folders of recordings, or packaged data such as voice:NAME.")
    layout: str = option(
        "auto",
        "How the folders are laid out.",
        choices=("auto", "vctk", "magnatagatune", "speakers", "folder"),
    )
    speakers: tuple[str, ...] = option((), "Train on these speakers only; empty: on all.")
    rate: int = option(8000, "Sample rate of the model.", least=1000, unit="Hz")
    seed: int = option(0, "Seed of all random numbers.", least=0)
    steps: int = option(12_000, "Number of training steps.", least=1)
    minutes: float = option(0.0, "Stop after this wall time even if steps are left; 0: no limit.", least=0.0)
    batch: int = option(4, "Crops per step and process.", least=1)
    crop: int = option(4096, "Length of a crop.", least=2, unit="samples")
    peak: float = option(3e-3, "Highest learning rate.", least=0.0)
    warmup: int = option(200, "Steps over which the learning rate rises to its peak.", least=1)
    clip: float = option(1.0, "Gradients are clipped to this norm.", least=0.0)
    average: float = option(0.999, "Decay per step of the moving average of the weights.", least=0.0, most=1.0)
    precision: str = option(
        "bf16-mixed", "Floating point format of the networks.", choices=("bf16-mixed", "16-mixed", "32-true")
    )
    every: int = option(1000, "Steps between validations; each also writes the model and examples.", least=1)

    RENAMED: ClassVar[Mapping[str, str]] = {}
    """Fields under the names that earlier versions wrote to `plan.json`, and what they are called now."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return a plan from JSON values: lists become tuples, and earlier names of fields the present ones."""
        arguments: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in cls.renamed(values).items()
        }
        return cls(**arguments)

    @classmethod
    def renamed(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a plan with fields of earlier versions under their present names."""
        return {cls.RENAMED.get(key, key): value for key, value in values.items()}


P = TypeVar("P", bound=TrainingPlan)


@dataclass(frozen=True)
class RunFolder:
    """The files of a run: its plan, what it learns from, its state, its log, and the model."""

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
        """All that training goes on from."""
        return self.at / "state.ckpt"

    @property
    def log(self) -> Path:
        """What was measured, one JSON object a line."""
        return self.at / "log.jsonl"

    @property
    def model(self) -> Path:
        """The averaged weights as a checkpoint of Gramophone's."""
        return self.at / "model.safetensors"

    def begun(self) -> bool:
        """Return whether a run was begun here."""
        return self.plan.is_file()

    def learnt(self) -> bool:
        """Return whether anything was learnt here that a run of another plan would lose."""
        return self.state.is_file() or self.model.is_file()

    def read(self) -> dict[str, Any]:
        """Return the plan that was begun here, as data.

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
        """Note the plan, or where something was learnt already, see that the one noted is the same.

        Raises:
            TrainingError: another run was begun here; the message names the difference.
        """
        wanted = {**asdict(plan), "fingerprint": fingerprint}
        if self.begun() and self.learnt():
            found = {
                **asdict(type(plan)()),
                **plan.renamed(self.read()),
            }  # an option that did not exist then had its default
            other = [key for key in wanted if _listed(wanted[key]) != _listed(found.get(key))]
            if other:
                difference = "; ".join(f"{key} was {found.get(key)!r}, now {wanted.get(key)!r}" for key in other)
                raise TrainingError(f"{self.at}: another run was begun here ({difference}); use another folder")
            return
        self.at.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.plan) as part:
            part.write_text(json.dumps(wanted, indent=1), "utf-8")


def _listed(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def begun_plan(kind: type[P], folder: RunFolder) -> P:
    """Return the plan of a run begun before.

    Raises:
        TrainingError: as `RunFolder.read`, or it is of another kind of model.
    """
    values = kind.renamed(folder.read())
    known = {item.name for item in fields(kind)}
    strange = sorted(values.keys() - known - {"fingerprint"})
    if strange:
        raise TrainingError(f"{folder.plan}: a run of another kind ({', '.join(strange)}); expected {kind.__name__}")
    return kind.from_dict({key: value for key, value in values.items() if key in known})
