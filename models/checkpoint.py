"""Checkpoints: a model's weights, hyperparameters and metadata in one `.safetensors` file; never pickle.

The header holds the kind, the hyperparameters (the model's shape, a frozen dataclass) and the card. Loading is by kind.

A package brings a kind of its own by an entry point of the group `gramophone.models`: its name is the kind, its object
the model's class, which takes one argument, its shape, has it as `shape`, and the class of it as `Shape`. In the
package's `pyproject.toml`:

    [project.entry-points."gramophone.models"]
    echo = "my_echo:Echo"
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gramophone.presets.atomic import atomic_write

if TYPE_CHECKING:  # a card is read where torch is too slow to come by: by whoever turns the knobs
    from torch import nn

VERSION = 1
GROUP = "gramophone.models"
"""The group of entry points by which other packages bring kinds of models."""
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

    def learnt_from(self, *entries: str) -> Card:
        """Return the card with these sources besides, `source: licence` each, and the licences of all."""
        data = tuple(dict.fromkeys((*self.data, *entries)))
        licences = dict.fromkeys(entry.rpartition(": ")[2] for entry in data)
        return replace(self, data=data, licence=", ".join(licences))


def save(path: Path, model: nn.Module, card: Card) -> None:
    """Write a model of a known kind; the file appears whole or not at all.

    Raises:
        CheckpointError: the model is of no kind that can be loaded again.
    """
    from safetensors.torch import save as packed

    header = {
        "gramophone": str(VERSION),
        "kind": _kind_of(model),
        "shape": json.dumps(asdict(model.shape)),  # type: ignore[call-overload]
        "card": json.dumps(asdict(card)),
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_write(path) as part:
        part.write_bytes(ordered(packed(weights, header)))


def ordered(content: bytes) -> bytes:
    """Return a safetensors file with the keys of its header in order; the library writes metadata in any order.

    So files of the same contents are the same bytes.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def load(path: Path, kind: str = "") -> tuple[nn.Module, Card]:
    """Return the model, ready to run, and its card; of a certain `kind`, if one is given.

    Raises:
        CheckpointError: the file cannot be read, is of another kind or version, or its weights do not fit its shape.
    """
    from safetensors.torch import load_file

    found, card = kind_of(path), card_of(path)
    if kind and found != kind:
        raise CheckpointError(f"{path}: a {found} model; expected {kind}")
    shape = shape_of(path)
    try:
        model: nn.Module = _classes(found)[0](shape)
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
    try:
        return _made(_classes(header["kind"])[1], json.loads(header["shape"]))
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
    if header["kind"] not in kinds():
        raise CheckpointError(
            f"{path}: a model of kind {header['kind']!r}; expected one of {', '.join(kinds())}, "
            "or the package that brings this kind"
        )
    return header


def kinds() -> list[str]:
    """Return every kind of model by name, those of other packages last."""
    return [*_KINDS, *package_kinds()]


@cache
def package_kinds() -> dict[str, EntryPoint]:
    """Return the kinds that other packages bring, by name; none of them takes the place of one of ours."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in _KINDS}


def _classes(kind: str) -> tuple[Any, Any]:
    """Return the classes of a kind: of the model and of its shape.

    Raises:
        CheckpointError: those of another package cannot be loaded, or are none.
    """
    if kind in _KINDS:
        module, name, shape = _KINDS[kind]
        found = importlib.import_module(module)
        return getattr(found, name), getattr(found, shape)
    point = package_kinds()[kind]
    where = f"kind {kind!r} of {point.dist.name if point.dist else 'a package'} ({point.value})"
    try:
        model = point.load()
    except Exception as error:  # another package may fail in any way
        raise CheckpointError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(model, type) or not is_dataclass(getattr(model, "Shape", None)):
        raise CheckpointError(f"{where}: {model!r}: expected a class with a dataclass as its Shape")
    return model, model.Shape  # type: ignore[attr-defined]


def _kind_of(model: nn.Module) -> str:
    own = type(model).__module__, type(model).__name__
    for kind, (module, name, _) in _KINDS.items():
        if own == (module, name):
            return kind
    for kind, point in package_kinds().items():
        if (point.module, point.attr) == own:
            return kind
    raise CheckpointError(
        f"{type(model).__name__} is no kind of model that can be saved; expected {', '.join(kinds())} "
        f"(a kind of one's own is an entry point of the group {GROUP})"
    )


def _made(shape: type[Any], values: dict[str, Any]) -> Any:
    """Return a dataclass from JSON, whose lists are tuples there."""
    known = {item.name for item in fields(shape)}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise TypeError(f"{shape.__name__} has no {', '.join(unknown)}")
    return shape(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
