"""Checkpoints: a model's weights, hyperparameters and metadata in one `.safetensors` file; never pickle.

The header holds the kind, the hyperparameters (the model's shape, a frozen dataclass) and the card. Loading is by kind.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gramophone.presets.atomic import atomic_write

if TYPE_CHECKING:  # a card is read where torch is too slow to come by: by whoever turns the knobs
    from torch import nn

VERSION = 1
_HEADERS_KEPT = 64
_KINDS = {
    "wavenet": ("gramophone.models.nets.wavenet", "WaveNet", "WaveNetShape"),
    "vlae": ("gramophone.models.nets.vlae", "VLAE", "VLAEShape"),
    "voice": ("gramophone.models.nets.voice", "Voice", "VoiceShape"),
    "digits": ("gramophone.models.nets.digits", "DigitsVAE", "DigitsShape"),
    "phones": ("gramophone.models.nets.phone_classifier", "PhoneClassifier", "PhoneClassifierShape"),
    "anyone": ("gramophone.models.nets.anyone", "Anyone", "AnyoneShape"),
    "content": ("gramophone.models.nets.content", "ContentEncoder", "ContentShape"),
    "tagger": ("gramophone.models.nets.tagger", "Tagger", "TaggerShape"),
}
"""Where each kind lives: module, class, and the class of its shape, which is all that the constructor takes."""


class CheckpointError(ValueError):
    """A file is not a usable checkpoint; the message names it, what was found and what was expected."""


@dataclass(frozen=True)
class Card:
    """Metadata of a model.

    `rate` is the sample rate in Hz, `hop` the samples per frame, `delay` the latency in samples. `data` are the
    sources that it was trained on, each with its licence; `scores` are evaluation results by name; `notes` holds what
    is particular to a kind.
    """

    rate: int
    hop: int = 1
    delay: int = 0
    speakers: tuple[str, ...] = ()
    latents: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    licence: str = ""
    steps: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


def save(path: Path, model: nn.Module, card: Card) -> None:
    """Write a model of a known kind; the file appears whole or not at all.

    Raises:
        CheckpointError: the model is of no kind that can be loaded again.
    """
    from safetensors.torch import save_file

    header = {
        "gramophone": str(VERSION),
        "kind": _kind_of(model),
        "shape": json.dumps(asdict(model.shape)),  # type: ignore[call-overload]
        "card": json.dumps(asdict(card)),
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_write(path) as part:
        save_file(weights, part, header)


def load(path: Path, kind: str = "") -> tuple[nn.Module, Card]:
    """Return the model, ready to run, and its card; of a certain `kind`, if one is given.

    Raises:
        CheckpointError: the file cannot be read, is of another kind or version, or its weights do not fit its shape.
    """
    from safetensors.torch import load_file

    found, card = kind_of(path), card_of(path)
    if kind and found != kind:
        raise CheckpointError(f"{path}: a {found} model; expected {kind}")
    module, name, _ = _KINDS[found]
    shape = shape_of(path)
    try:
        model: nn.Module = getattr(importlib.import_module(module), name)(shape)
        model.load_state_dict(load_file(path))
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: its weights do not fit its shape ({error})") from None
    return model.eval(), card


def kind_of(path: Path) -> str:
    """Return the kind of model in a file.

    Raises:
        CheckpointError: as `load`.
    """
    return _header(path)["kind"]


def shape_of(path: Path) -> Any:
    """Return the shape of the model in a file, a frozen dataclass, without loading its weights.

    Raises:
        CheckpointError: as `load`.
    """
    header = _header(path)
    module, _, name = _KINDS[header["kind"]]
    try:
        return _made(getattr(importlib.import_module(module), name), json.loads(header["shape"]))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: a shape that cannot be read ({error})") from None


def numbers_of(path: Path) -> Mapping[str, Any]:
    """Return the numbers that the shape of the model in a file was given, by name; unlike `shape_of` without torch.

    Raises:
        CheckpointError: as `load`.
    """
    try:
        return dict(json.loads(_header(path)["shape"]))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: a shape that cannot be read ({error})") from None


def card_of(path: Path) -> Card:
    """Return the card of a file without loading its weights.

    Raises:
        CheckpointError: as `load`.
    """
    try:
        card: Card = _made(Card, json.loads(_header(path)["card"]))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: a card that cannot be read ({error})") from None
    return card


def _header(path: Path) -> Mapping[str, str]:
    try:
        written = path.stat()
    except OSError:
        raise CheckpointError(f"{path}: no such file") from None
    return _read_header(path, written.st_mtime_ns, written.st_size)


@lru_cache(_HEADERS_KEPT)
def _read_header(path: Path, _written_ns: int, _size: int) -> Mapping[str, str]:
    """Return the header, which is read once for each time that the file was written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            header: dict[str, str] = file.metadata() or {}
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from None
    if not {"gramophone", "kind", "shape", "card"} <= header.keys():
        raise CheckpointError(f"{path}: a safetensors file, but not one of Gramophone's")
    if header["gramophone"] != str(VERSION):
        raise CheckpointError(f"{path}: version {header['gramophone']} of the format; expected {VERSION}")
    if header["kind"] not in _KINDS:
        raise CheckpointError(f"{path}: a model of kind {header['kind']!r}; expected one of {', '.join(_KINDS)}")
    return header


def _kind_of(model: nn.Module) -> str:
    for kind, (module, name, _) in _KINDS.items():
        if (type(model).__module__, type(model).__name__) == (module, name):
            return kind
    raise CheckpointError(f"{type(model).__name__} is no kind of model that can be saved; expected {', '.join(_KINDS)}")


def _made(shape: type[Any], values: dict[str, Any]) -> Any:
    """Return a dataclass from JSON, whose lists are tuples there."""
    known = {item.name for item in fields(shape)}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise TypeError(f"{shape.__name__} has no {', '.join(unknown)}")
    return shape(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
