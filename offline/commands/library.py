"""`gramophone models add` and `remove`: models of other people by name, once their licence has been agreed to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from gramophone.models.checkpoint import card_of, kind_of
from gramophone.offline.commands.download import downloaded
from gramophone.offline.console import say
from gramophone.presets.hashed_files import sha256_of
from gramophone.presets.model_library import (
    MODEL_SUFFIXES,
    LibraryError,
    OwnModel,
    agree,
    has_agreed,
    keep_model,
    remove_model,
)
from gramophone.presets.models import SUFFIX, model_file, model_names

MOST_BYTES = 4 << 30
_NOT_SAID = "not said"
_PROGRAM = ".ts"


def add_models(source: str, name: str, expected: str, *, agreed: bool) -> list[OwnModel]:
    """Add the model of a file or of an address, or all models of a folder; return them.

    `name` is the model's, else that of its file; `expected` the SHA-256 that it must have, if given. `agreed`: the user
    has said so on the command line; else the licence is shown and asked for.

    Raises:
        LibraryError: there is no model, it is another than expected, or its licence was not agreed to.
        CheckpointError: a file cannot be read.
    """
    is_address = "://" in source
    if is_address and source.partition("?")[0].endswith(_PROGRAM):
        raise LibraryError(f"{source}: a {_PROGRAM} file is a program; fetch it yourself, and add the file")
    files = [downloaded(source, MOST_BYTES)] if is_address else _files(Path(source))
    if name and len(files) > 1:
        raise LibraryError(f"{source}: has {len(files)} models; a name is for one")
    checked = [(file, name or file.stem, licence_of(file)) for file in files]
    for file, called, licence in checked:
        if expected and sha256_of(file) != expected.lower():
            raise LibraryError(f"{file}: its SHA-256 is {sha256_of(file)}; expected {expected.lower()}")
        if called in model_names():
            raise LibraryError(f"model {called}: one of this name comes with Gramophone; give another by --name")
        demand_agreement(called, sha256_of(file), licence, agreed=agreed)
    return [keep_model(file, called, source, licence) for file, called, licence in checked]


def remove(name: str) -> OwnModel:
    """Move a model to the library's bin.

    Raises:
        LibraryError: there is none of that name.
    """
    return remove_model(name)


def licence_of(file: Path) -> str:
    """Return the licence of a model's file, as it says itself; it is not run for that.

    Raises:
        LibraryError: it is no model.
        CheckpointError: it cannot be read.
    """
    if file.suffix == SUFFIX:
        kind_of(file)
        return card_of(file).licence or _NOT_SAID
    if file.suffix == _PROGRAM:
        from gramophone.realtime.stages.latent.torchscript import demand_archive

        demand_archive(file)
        return _NOT_SAID
    if file.suffix == ".nam":
        from gramophone.realtime.stages.nam.capture import read_capture

        read_capture(file)
        return str((json.loads(file.read_text("utf-8")).get("metadata") or {}).get("license") or _NOT_SAID)
    raise LibraryError(f"{file}: expected a model, which ends in {' or '.join(MODEL_SUFFIXES)}")


def demand_agreement(name: str, sha256: str, licence: str, *, agreed: bool, ask: Callable[[str], str] = input) -> None:
    """Show a licence before the first use of what it is for, and have the user agree to it, once per contents.

    Of what comes with Gramophone it has been agreed to.

    Raises:
        LibraryError: they did not, or there is no terminal to ask on.
    """
    if has_agreed(sha256) or sha256 in map(sha256_of, map(model_file, model_names())):
        return
    say(f"{name}: licence: {licence}")
    if not agreed:
        if not sys.stdin.isatty():
            raise LibraryError(f"{name}: its licence has to be agreed to: --agree")
        if ask("use it under this licence? [y/N] ").strip().lower() not in ("y", "yes"):
            raise LibraryError(f"{name}: not added, as its licence was not agreed to")
    agree(sha256, licence)


def _files(path: Path) -> list[Path]:
    """Return the model of a file, or those of a folder.

    Raises:
        LibraryError: there is none.
    """
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix in MODEL_SUFFIXES and file.is_file())
        if not found:
            raise LibraryError(f"{path}: no model in it; expected files that end in {' or '.join(MODEL_SUFFIXES)}")
        return found
    if not path.is_file():
        raise LibraryError(f"{path}: no such file or folder")
    return [path]
