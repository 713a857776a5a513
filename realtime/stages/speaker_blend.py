"""What stages with a model have in common: blending up to four of its speakers, and the keys `model` and `source`.

`model` is the name of a model that comes with Gramophone or of the user's library, or a path; `source` is where it can
be had by those who lack it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value, grouped
from gramophone.presets.checks import PresetError
from gramophone.presets.model_library import MODEL_SUFFIXES
from gramophone.presets.models import model_file
from gramophone.realtime.stage import StageError

MODEL_SETTINGS = ("model", "source")
"""Keys of stages with a model that cannot be set while they play."""


def model_path(model: str, folder: Path | None = None, source: str = "") -> Path:
    """Return the file of a model; a relative path is relative to `folder`. `source` is where it can be had.

    Raises:
        StageError: the name is empty, or there is no such model.
    """
    if not model:
        raise StageError("key 'model' is missing: the name or the path of a model")
    try:
        return model_file(model, folder, source)
    except PresetError as error:
        raise StageError(str(error)) from None


def model_of(values: Mapping[str, Value], folder: Path | None = None) -> Path:
    """Return the file of the model that a stage's `values` name.

    Raises:
        StageError: as `model_path`.
    """
    return model_path(str(values.get("model", "")), folder, str(values.get("source", "")))


def model_settings(values: Mapping[str, Value], path: Path) -> dict[str, str]:
    """Return the settings that say which model it is: `model`, by name or as the absolute `path`, and any `source`."""
    model = str(values.get("model", ""))
    settings = {"model": str(path) if model.endswith(MODEL_SUFFIXES) else model}
    return settings | ({"source": str(values["source"])} if "source" in values else {})


def speaker_knobs(names: Sequence[str]) -> tuple[Parameter, ...]:
    """Return the parameters for a model with speakers of these names; none for no names."""
    if not names:
        return ()
    choices = tuple(names)
    return grouped(
        "voice",
        Parameter("speaker", choices[0], "the target speaker", choices=choices, smoothing_ms=0),
        Parameter("speaker2", choices[-1], "another speaker, to blend in", choices=choices, smoothing_ms=0),
        Parameter("blend", 0.0, "from the first speaker (0) to the second (1)", smoothing_ms=50),
        *(knob for number in (3, 4) if number <= len(names) for knob in _further(number, choices)),
    )


def _further(number: int, choices: tuple[str, ...]) -> tuple[Parameter, Parameter]:
    return (
        Parameter(
            f"speaker{number}", choices[number - 1], "another speaker, to blend in", choices=choices, smoothing_ms=0
        ),
        Parameter(f"blend{number}", 0.0, f"from those before (0) to speaker {number} (1)", smoothing_ms=50),
    )


def speaker_weights(names: Sequence[str], values: Mapping[str, Value]) -> NDArray[np.float32]:
    """Return the weight of each speaker, `(speakers,)`, 1 in sum."""
    weights = np.zeros(len(names), np.float32)
    if names:
        weights[names.index(str(values["speaker"]))] = 1
    for number, knob in ((2, "blend"), (3, "blend3"), (4, "blend4")):
        if (share := np.float32(values.get(knob, 0.0))) > 0:
            weights *= 1 - share
            weights[names.index(str(values[f"speaker{number}"]))] += share
    return weights
