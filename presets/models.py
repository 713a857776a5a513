"""Trained models by name: the checkpoints that come with Gramophone, and any file by its path."""

from __future__ import annotations

from pathlib import Path

from gramophone.presets.checks import PresetError

MODELS = Path(__file__).parent / "models"
SUFFIX = ".safetensors"
SUFFIXES = (SUFFIX, ".ts")
"""Of model files: Gramophone's own, and TorchScript in the form of nn~."""


def model_names() -> list[str]:
    """Return the names of the models that come with Gramophone."""
    return sorted(path.stem for path in MODELS.glob(f"*{SUFFIX}"))


def model_file(model: str, folder: Path | None = None) -> Path:
    """Return the file of a model: one of Gramophone's by name, or any by path, seen from `folder`.

    Raises:
        PresetError: there is no such model.
    """
    if not model.endswith(SUFFIXES):
        if model not in model_names():
            paths = " or ".join(SUFFIXES)
            known = ", ".join([f"a path that ends in {paths} (train one: gramophone train --help)", *model_names()])
            raise PresetError(f"no model {model[:80]!r}; expected {known}")
        return MODELS / f"{model}{SUFFIX}"
    path = (folder or Path()).absolute() / Path(model).expanduser()
    if not path.is_file():
        raise PresetError(f"{path}: no such model file")
    return path
