"""A preset as one file for others: `gramophone pack`, and how `play` and `render` open what it made.

A pack is a zip archive whose members are stored as they are: `preset.toml`, in which files are named by the hash of
their contents, `pack.json`, which says what each of them is called and under which licence it stands, and the files.
Nothing in it says where anything is to be written, so nothing can be written anywhere else; and as nothing is
compressed, it holds no more than its own size.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gramophone.models.parameters import Value
from gramophone.offline.commands.library import demand_agreement, licence_of
from gramophone.presets import CLIPS, Preset, PresetError, parse, save
from gramophone.presets.atomic import atomic_write
from gramophone.presets.hashed_files import HashedFiles, is_token, sha256_of, token_of
from gramophone.presets.model_library import MODEL_SUFFIXES
from gramophone.presets.models import model_file
from gramophone.realtime.parameter_table import complete, concise
from gramophone.realtime.system.cache_folder import cache_folder

VERSION = 1
_PRESET, _LIST = "preset.toml", "pack.json"
_FILES = "files/"
_MOST_FILES = 1000
_MOST_TEXT_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 20
_MODEL = "model"
_BUNDLED = "as Gramophone's presets/README.md says"
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)


class PackError(PresetError):
    """A preset cannot be packed, or a pack not be opened; the message says what was found and what was expected."""


@dataclass(frozen=True)
class PackedFile:
    """A file of a pack: its name by its contents, what it was called, its size in bytes, and its licence."""

    token: str
    name: str
    size: int
    licence: str


def write_pack(preset: Preset, out: Path) -> list[PackedFile]:
    """Write a preset with its clips and models as one file; return what is in it beside the preset.

    Raises:
        PresetError: the preset does not fit, or a file of it cannot be packed.
        OSError: the pack cannot be written.
    """
    whole = concise(complete(preset))
    files: dict[str, tuple[Path, PackedFile]] = {}

    def by_token(path: Path, name: str, licence: str) -> str:
        token = token_of(path)
        files[token] = path, PackedFile(token, name, path.stat().st_size, licence)
        return token

    def named(key: str, value: Value) -> Value:
        if not isinstance(value, str) or not value:
            return value
        if key == _MODEL:
            path = model_file(value)
            return by_token(path, f"{Path(value).stem}{path.suffix}", licence_of(path))
        path = Path(value)
        if not path.is_absolute() or not path.exists():
            return value
        if not path.is_file() or path.suffix in (".vst3", ".so", ".dll"):
            raise PackError(f"{path}: is no clip and no model; a plug-in has to be installed by those who play it")
        return by_token(path, path.name, _BUNDLED if path.resolve().is_relative_to(CLIPS.resolve()) else "")

    stages = tuple(
        replace(stage, values={key: named(key, value) for key, value in stage.values.items()}) for stage in whole.stages
    )
    packed = [file for _, file in files.values()]
    listed = {"version": VERSION, "preset": preset.name, "files": [vars(file) for file in packed]}
    with atomic_write(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_LIST, _FIRST_DATE), json.dumps(listed, indent=1))
        archive.writestr(zipfile.ZipInfo(_PRESET, _FIRST_DATE), _text_of(replace(whole, stages=stages, path=None)))
        for token, (path, _) in files.items():
            archive.write(path, _FILES + token)
    return packed


def open_pack(path: Path, *, agreed: bool = False) -> Preset:
    """Return the preset of a pack, its files in the cache folder; licences are shown, and agreed to once.

    Raises:
        PackError: it is no pack, is cut or changed, or holds what a pack does not.
        LibraryError: a licence was not agreed to.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            listed = json.loads(_text(path, archive, members, _LIST))
            if listed["version"] != VERSION:
                raise PackError(f"{path}: version {listed['version']} of the format; expected {VERSION}")
            files = [_packed_file(path, members, entry) for entry in listed["files"]]
            preset = parse(_text(path, archive, members, _PRESET), Path(f"{path.stem}.toml"))
            places = {file.token: _unpacked(path, archive, file) for file in files}
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, LookupError, TypeError, EOFError, RuntimeError) as error:
        if isinstance(error, PresetError):
            raise
        raise PackError(f"{path}: no pack of Gramophone's, or not all of it: {error}") from None
    for file in files:
        if Path(file.name).suffix in MODEL_SUFFIXES:
            demand_agreement(file.name, sha256_of(places[file.token]), file.licence or "not said", agreed=agreed)

    def placed(value: Value) -> Value:
        if not isinstance(value, str) or not is_token(value):
            return value
        if value not in places:
            raise PackError(f"{path}: the preset names a file that is not in the pack: {value}")
        return str(places[value])

    return replace(preset, path=None).mapped(placed)


def _members(path: Path, archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    """Return what an archive holds by name, after checking that it is no more than a pack is.

    Raises:
        PackError: it holds something else.
    """
    found = archive.infolist()
    for info in found:
        folder, _, name = info.filename.rpartition("/")
        if info.filename not in (_PRESET, _LIST) and not (f"{folder}/" == _FILES and is_token(name)):
            raise PackError(f"{path}: holds {info.filename[:80]!r}; expected {_PRESET}, {_LIST} and files by hash")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise PackError(f"{path}: {info.filename} is compressed; expected it as it is")
    if len(found) > _MOST_FILES or len({info.filename for info in found}) < len(found):
        raise PackError(f"{path}: holds {len(found)} files; expected each once, and {_MOST_FILES} at most")
    if sum(info.file_size for info in found) > path.stat().st_size:
        raise PackError(f"{path}: says to hold more than its own size")
    return {info.filename: info for info in found}


def _packed_file(path: Path, members: Mapping[str, zipfile.ZipInfo], entry: Mapping[str, Any]) -> PackedFile:
    file = PackedFile(str(entry["token"]), str(entry["name"]), int(entry["size"]), str(entry["licence"]))
    if not is_token(file.token) or _FILES + file.token not in members:
        raise PackError(f"{path}: {file.name[:80]!r} is not in it")
    if Path(file.name).suffix != Path(file.token).suffix:
        raise PackError(f"{path}: calls a {Path(file.token).suffix} file {file.name[:80]!r}")
    return file


def _unpacked(path: Path, archive: zipfile.ZipFile, file: PackedFile) -> Path:
    """Return where a file of the pack is in the cache folder, written there if need be."""
    kept = HashedFiles(cache_folder() / "project-files")
    place = kept.found(file.token) or kept.keep(file.token, _chunks(archive, _FILES + file.token))
    if place is None:
        raise PackError(f"{path}: {file.name[:80]!r} is not what it was when it was packed")
    return place


def _chunks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with archive.open(name) as member:
        while chunk := member.read(_CHUNK_BYTES):
            yield chunk


def _text(path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str) -> str:
    if name not in members:
        raise PackError(f"{path}: no pack of Gramophone's: it has no {name}")
    if members[name].file_size > _MOST_TEXT_BYTES:
        raise PackError(f"{path}: {name} has {members[name].file_size} bytes; expected {_MOST_TEXT_BYTES} at most")
    return archive.read(name).decode("utf-8")


def _text_of(preset: Preset) -> str:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / _PRESET
        save(preset, place)
        return place.read_text("utf-8")
