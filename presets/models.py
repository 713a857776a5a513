"""Trained models by name: the checkpoints that come with Gramophone, the user's library, and any file by its path."""

from __future__ import annotations

from pathlib import Path

from gramophone.presets.checks import PresetError
from gramophone.presets.model_library import MODEL_SUFFIXES, library_file, own_models

MODELS = Path(__file__).parent / "models"
SUFFIX = ".safetensors"


def model_names() -> list[str]:
    """Return the names of the models that come with Gramophone."""
    return sorted(path.stem for path in MODELS.glob(f"*{SUFFIX}"))


def model_file(model: str, folder: Path | None = None, source: str = "") -> Path:
    """Return the file of a model: one of Gramophone's or of the library by name, or any by path, seen from `folder`.

    `source` is where a preset says that it can be had.

    Raises:
        PresetError: there is no such model; the message says how to get it.
    """
    if model.endswith(MODEL_SUFFIXES):
        path = (folder or Path()).absolute() / Path(model).expanduser()
        if not path.is_file():
            raise PresetError(f"{path}: no such model file{_how_to(path.stem, source)}")
        return path
    if model in model_names():
        return MODELS / f"{model}{SUFFIX}"
    if found := library_file(model):
        return found
    paths = f"a path that ends in {' or '.join(MODEL_SUFFIXES)} (train one: gramophone train --help)"
    known = ", ".join([*model_names(), *own_models()])
    raise PresetError(f"no model {model[:80]!r}; expected {paths}, or one of {known}{_how_to(model, source)}")


def _how_to(name: str, source: str) -> str:
    """Return how to get a model that is missing."""
    if source:
        return f"; get it: gramophone models add '{source}' --name {name}"
    return "; if you have its file or its address: gramophone models add FILE|URL"
