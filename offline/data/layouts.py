"""Finds the recordings and speakers of data sets in their known folder layouts.

VCTK in its official layouts (0.80 and 0.92), MagnaTagATune's audio, a folder per speaker, any folder of sound files,
the voices that Debian packages carry (`corpora`), written `voice:NAME`, instruments played by rule (`instruments`),
written `instrument:NAME`, and texts read by a synthesiser (`spoken`), written `spoken:NAME`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gramophone.offline.data import corpora, instruments, spoken
from gramophone.offline.data.recording import DataError, Found
from gramophone.realtime.files import READABLE_ENDINGS

_VCTK_SOUNDS = ("wav48_silence_trimmed", "wav48")
_VCTK_MICROPHONE = "_mic1"
_VCTK_LICENCE = "CC-BY-4.0"
_MAGNA_FOLDERS = frozenset("0123456789abcdef")
_UNKNOWN_LICENCE = "licence unknown: yours to state"


@dataclass(frozen=True)
class DataSource:
    """The recordings found in one place, not yet decoded."""

    name: str
    layout: str
    licence: str
    found: tuple[Found, ...]


def find(place: str, layout: str = "auto") -> DataSource:
    """Return the recordings in a folder, of `voice:NAME`, of `instrument:NAME` or of `spoken:NAME`.

    Raises:
        DataError: there is no such folder, voice, instrument or layout, or no sound file in it.
        CorporaError: the voice's package cannot be had.
        PackageError: the synthesiser cannot be downloaded.
    """
    kind, _, name = place.partition(":")
    if kind == "voice":
        return _voice(name)
    if kind == "instrument":
        found = tuple(Found(path, path.stem, name) for path in _sounds(instruments.played(name)))
        return DataSource(f"{instruments.PACKAGE} ({name})", "instrument", instruments.LICENCE, found)
    if kind == "spoken":
        found = tuple(Found(path, path.stem, name) for path in _sounds(spoken.spoken(name)))
        return DataSource(f"{spoken.PACKAGE} ({name})", "spoken", spoken.LICENCE, found)
    folder = Path(place)
    if not folder.is_dir():
        raise DataError(f"{place}: no such folder; expected a folder of recordings, or voice:NAME")
    if layout not in ("auto", *_LAYOUTS):
        raise DataError(f"layout {layout!r}: expected auto, {', '.join(_LAYOUTS)}")
    layout = _guess(folder) if layout == "auto" else layout
    found = tuple(sorted(_LAYOUTS[layout](folder), key=lambda item: item.name))
    if not found:
        raise DataError(f"{place}: no sound files in the layout {layout!r}; expected {', '.join(READABLE_ENDINGS)}")
    return DataSource(place, layout, _VCTK_LICENCE if layout == "vctk" else _UNKNOWN_LICENCE, found)


def _guess(folder: Path) -> str:
    """Return the layout that a folder is in, by the folders and files in it."""
    inside = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if inside & set(_VCTK_SOUNDS):
        return "vctk"
    if inside and inside <= _MAGNA_FOLDERS and next(folder.glob("?/*.mp3"), None):
        return "magnatagatune"
    return "speakers" if inside and not any(map(_is_sound, folder.iterdir())) else "folder"


def _vctk(folder: Path) -> Iterator[Found]:
    """Yield one microphone's recordings by speaker, with what the prompt in `txt` says."""
    sounds = next(folder / name for name in _VCTK_SOUNDS if (folder / name).is_dir())
    for path in _sounds(sounds):
        stem = path.stem.removesuffix(_VCTK_MICROPHONE)
        if sounds.name == _VCTK_SOUNDS[0] and stem == path.stem:
            continue  # the second microphone, which not every speaker has
        speaker = path.parent.name
        prompt = folder / "txt" / speaker / f"{stem}.txt"
        text = prompt.read_text("utf-8", "replace").strip() if prompt.is_file() else ""
        yield Found(path, stem, speaker, text)


def _magnatagatune(folder: Path) -> Iterator[Found]:
    """Yield the clips in folders 0 to f; they have no speaker."""
    for path in _sounds(folder):
        yield Found(path, _name(path, folder))


def _speakers(folder: Path) -> Iterator[Found]:
    """Yield what is below each folder as of one speaker, named as the folder; a `.txt` beside a sound is its text."""
    for path in _sounds(folder):
        below = path.relative_to(folder)
        if len(below.parts) > 1:
            yield Found(path, _name(path, folder), below.parts[0], _text_beside(path))


def _folder(folder: Path) -> Iterator[Found]:
    """Yield everything below the folder as of one speaker, named as the folder."""
    for path in _sounds(folder):
        yield Found(path, _name(path, folder), folder.resolve().name, _text_beside(path))


_LAYOUTS: dict[str, Callable[[Path], Iterator[Found]]] = {
    "vctk": _vctk,
    "magnatagatune": _magnatagatune,
    "speakers": _speakers,
    "folder": _folder,
}


def _voice(name: str) -> DataSource:
    if name not in corpora.EVERY:
        raise DataError(f"voice:{name}: no such voice; expected one of {', '.join(corpora.EVERY)}")
    package = corpora.EVERY[name].package
    corpora.fetch([package])
    texts = corpora.transcripts(name)
    found = tuple(Found(path, key, name, texts.get(key, "")) for key, path in corpora.recordings(name).items())
    return DataSource(f"{package} ({name})", "voice", corpora.LICENCES[package], found)


def _sounds(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if _is_sound(path))


def _is_sound(path: Path) -> bool:
    return path.suffix.lower() in READABLE_ENDINGS and not path.name.startswith(".") and path.is_file()


def _text_beside(path: Path) -> str:
    beside = path.with_suffix(".txt")
    return beside.read_text("utf-8", "replace").strip() if beside.is_file() else ""


def _name(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder).with_suffix("")).replace("/", "__")
