"""The key `model` of a stage: the name of a model that comes with Gramophone, or a path."""

from __future__ import annotations

from pathlib import Path

from gramophone.presets.checks import PresetError
from gramophone.presets.models import model_file
from gramophone.realtime.stage import StageError


def model_path(model: str, folder: Path | None = None) -> Path:
    """Return the file of a model; a relative path is relative to `folder`.

    Raises:
        StageError: the name is empty, or there is no such model.
    """
    if not model:
        raise StageError("key 'model' is missing: the name or the path of a model")
    try:
        return model_file(model, folder)
    except PresetError as error:
        raise StageError(str(error)) from None
