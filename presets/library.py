"""The library: presets by name, the factory's and the user's own.

The user's own lie in `gramophone/presets` in the user's configuration folder (XDG Base Directory specification). They
are saved by name and never by path, and no name leads out of that folder.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from gramophone.presets.checks import NAME, PresetError, name_of
from gramophone.presets.preset import Preset, read, save
from gramophone.presets.voices import user_folder

FACTORY = Path(__file__).parent / "factory"
DEFAULT = "default"


def own_folder() -> Path:
    """Return the folder of the user's own presets; it need not be there yet."""
    return user_folder() / "presets"


def names() -> list[str]:
    """Return the names of all presets: the factory's in alphabetical order, then the user's own likewise."""
    factory = _factory_names()
    return factory + sorted({path.stem for path in own_folder().glob("*.toml") if _is_own(path)}.difference(factory))


def unnamed() -> dict[Path, str]:
    """Return the preset files of the user's own folder that no name calls, each with the reason."""
    found = {}
    for path in sorted(own_folder().glob("*.toml")):
        if not NAME.fullmatch(path.stem):
            found[path] = "its name is no preset's; expected small letters, digits and '-'"
        elif not _is_own(path):
            found[path] = "not a file of this folder"
        elif path.stem in _factory_names():
            found[path] = "a factory preset has this name; give it another"
    return found


def is_own(preset: Preset) -> bool:
    """Whether a preset was read from the user's own folder."""
    return preset.path is not None and preset.path.parent == own_folder()


def load(preset: str | os.PathLike[str]) -> Preset:
    """Read a preset of the library by name or any by path (what ends in `.toml`).

    Raises:
        PresetError: there is no such preset, or the file is not a preset; the message says what was expected.
    """
    text = os.fspath(preset)
    if text.endswith(".toml"):
        return read(Path(text))
    return read(path_of(text))


def path_of(name: str) -> Path:
    """Return the file of the library's preset `name`.

    Raises:
        PresetError: the library has no such preset.
    """
    if name not in names():
        raise PresetError(f"no preset {name[:80]!r}; expected a .toml file or one of {', '.join(names())}")
    return (FACTORY if name in _factory_names() else own_folder()) / f"{name}.toml"


def save_own(preset: Preset, wanted: str = "", replaces: bool = True) -> Preset:
    """Save `preset` in the user's own folder and return it as it is there, by name and path.

    `wanted` is its new name or title; without one it keeps the name that it has. A factory preset is never written
    over: its copy has `my-` before the name. Another preset of the user's own is written over only if `replaces`.

    Raises:
        PresetError: no name can be made of `wanted`, a preset must not be replaced, or the file cannot be written.
    """
    name = name_of(wanted or preset.name)
    if name in _factory_names():
        name = f"my-{name}"[:64]
    title = preset.title if name == preset.name or not wanted else wanted.strip()
    path = own_folder() / f"{name}.toml"
    if not replaces and path.exists():
        raise PresetError(f"{name} is there already")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PresetError(f"{path.parent}: cannot be made: {error.strerror}") from None
    save(replace(preset, title=title), path)
    return replace(preset, name=name, title=title, path=path)


def _factory_names() -> list[str]:
    return sorted(path.stem for path in FACTORY.glob("*.toml"))


def _is_own(path: Path) -> bool:
    """Whether a file of the own folder can be called by name: links must not lead elsewhere."""
    return bool(NAME.fullmatch(path.stem)) and path.is_file() and path.resolve().parent == path.parent.resolve()
