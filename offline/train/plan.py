"""A training run's parameters: all that its result depends on, with what a command line option says of each.

Imports no torch and no NumPy, so that `--help` stays quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar


class TrainingError(RuntimeError):
    """Training cannot start or continue; the message says what was found and what to do."""


T = TypeVar("T")
AUTO_PRECISION = "auto"


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
        AUTO_PRECISION,
        "Floating point format of the networks; auto: bf16-mixed where the device has such products, else 32-true.",
        choices=(AUTO_PRECISION, "bf16-mixed", "16-mixed", "32-true"),
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
