"""The user's own models by name, and the licences that they have agreed to.

They lie in `gramophone/models` in the user's data folder (XDG Base Directory specification), and for all users of a
machine in the same folder of `XDG_DATA_DIRS`. A model is its file and, beside it, what is known of it (`.json`): the
hash of its contents, where it came from, its licence. A file that is no longer what was added is not played.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from gramophone.presets.atomic import atomic_write
from gramophone.presets.bin import Bin
from gramophone.presets.checks import NAME, PresetError, name_of
from gramophone.presets.clips import data_folder
from gramophone.presets.hashed_files import sha256_of

MODEL_SUFFIXES = (".safetensors", ".ts", ".nam")
"""Of model files: Gramophone's own, TorchScript in the form of nn~, captures of Neural Amp Modeler."""
_FACTS = ".json"
_SYSTEM_FOLDERS = "/usr/local/share:/usr/share"


class LibraryError(PresetError):
    """A model cannot be added, found or removed; the message says why and what to do."""


@dataclass(frozen=True)
class OwnModel:
    """A model of the library: its name, file, the SHA-256 of its contents, its source as the user named it, licence."""

    name: str
    file: Path
    sha256: str
    source: str = ""
    licence: str = ""


def model_folders() -> list[Path]:
    """Return where models are looked for, the user's own folder first; they need not be there."""
    system = os.environ.get("XDG_DATA_DIRS") or _SYSTEM_FOLDERS
    return [_own_folder(), *(Path(folder) / "gramophone" / "models" for folder in system.split(":") if folder)]


def own_models() -> dict[str, OwnModel]:
    """Return the models of the library by name, in alphabetical order; the user's own hide those of all users."""
    found: dict[str, OwnModel] = {}
    for folder in reversed(model_folders()):
        for path in _files(folder):
            found[path.stem] = _read(path)
    return dict(sorted(found.items()))


def library_file(name: str) -> Path | None:
    """Return the file of a model of the library, or None if there is none of that name.

    Raises:
        LibraryError: its contents are not what was added.
    """
    for folder in model_folders():
        for path in _files(folder):
            if path.stem == name:
                _demand_whole(_read(path))
                return path
    return None


def keep_model(file: Path, name: str, source: str, licence: str) -> OwnModel:
    """Copy a file into the user's own folder and write down what it is; one of the same name and contents stays.

    Raises:
        LibraryError: no name can be made of `name`, another model has it, or the file cannot be copied.
    """
    called = _called(name)
    kept = OwnModel(called, _own_folder() / f"{called}{file.suffix}", sha256_of(file), source, licence)
    there = next((path for path in _files(_own_folder()) if path.stem == called), None)
    if there and _sha_now(there) == kept.sha256:
        return _read(there)
    if there:
        raise LibraryError(f"model {called}: there is another of this name; gramophone models remove {called}")
    try:
        _own_folder().mkdir(parents=True, exist_ok=True)
        with atomic_write(kept.file) as part:
            shutil.copyfile(file, part)
        with atomic_write(_facts_of(kept.file)) as part:
            part.write_text(json.dumps(asdict(kept) | {"file": kept.file.name}), "utf-8")
    except OSError as error:
        raise LibraryError(f"model {called}: cannot be kept in {_own_folder()}: {error.strerror}") from None
    return kept


def remove_model(name: str) -> OwnModel:
    """Move a model of the user's own to the bin beside the others.

    Raises:
        LibraryError: there is none of that name, or it cannot be moved.
    """
    mine = {path.stem: path for path in _files(_own_folder())}
    if name not in mine:
        raise LibraryError(
            f"model {name[:80]!r}: " + (f"expected one of {', '.join(mine)}" if mine else "you have added none")
        )
    removed = _read(mine[name])
    try:
        bin_folder = Bin(_own_folder() / "bin")
        bin_folder.put(*(path for path in (_facts_of(removed.file), removed.file) if path.is_file()))
        bin_folder.tidy()
    except OSError as error:
        raise LibraryError(f"model {name}: cannot be moved to the bin: {error.strerror}") from None
    return removed


def agree(sha256: str, licence: str) -> None:
    """Write down that the user agreed to the licence of a file with these contents."""
    record = _agreement(sha256)
    record.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(record) as part:
        part.write_text(licence, "utf-8")


def has_agreed(sha256: str) -> bool:
    """Whether the user has agreed to the licence of a file with these contents."""
    return _agreement(sha256).is_file()


def _agreement(sha256: str) -> Path:
    return data_folder() / "licences" / f"{sha256}.txt"


def _own_folder() -> Path:
    return data_folder() / "models"


def _files(folder: Path) -> Iterable[Path]:
    paths = sorted(folder.glob("*")) if folder.is_dir() else []
    return [path for path in paths if path.suffix in MODEL_SUFFIXES and NAME.fullmatch(path.stem) and path.is_file()]


def _facts_of(file: Path) -> Path:
    return file.with_suffix(_FACTS)


def _read(path: Path) -> OwnModel:
    """Return what is known of a file; of one that somebody put there without facts, only what it is now."""
    try:
        facts = json.loads(_facts_of(path).read_text("utf-8"))
        return OwnModel(path.stem, path, str(facts["sha256"]), str(facts["source"]), str(facts["licence"]))
    except (OSError, ValueError, KeyError, TypeError):
        return OwnModel(path.stem, path, _sha_now(path))


def _demand_whole(model: OwnModel) -> None:
    if _sha_now(model.file) != model.sha256:
        raise LibraryError(
            f"{model.file}: its contents are not what was added; "
            f"gramophone models remove {model.name}, and add it again{' from ' + model.source if model.source else ''}"
        )


def _sha_now(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise LibraryError(f"{path}: {error.strerror}") from None


def _called(name: str) -> str:
    try:
        return name_of(name)
    except PresetError as error:
        raise LibraryError(f"model: {error}") from None
