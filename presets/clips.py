"""The user's own clips: sounds that were dropped on the control page, uploaded or recorded there, by name.

They lie in `gramophone/clips` in the user's data folder (XDG Base Directory specification). A clip is two files called
by a hash of its samples: the sound (`.flac`) and what is known of it (`.json`), its name first. So a preset that names
the file means this very sound for ever, a clip can be renamed, and no name leads out of the folder.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from gramophone.presets.atomic import atomic_write
from gramophone.presets.bin import Bin
from gramophone.presets.checks import PresetError, name_of

SOUND, FACTS = ".flac", ".json"
_KEY = re.compile(r"[0-9a-f]{16}")


class ClipError(PresetError):
    """A clip cannot be found, named or kept; the message says why and what to do."""


@dataclass(frozen=True)
class OwnClip:
    """A clip: its `key` (a hash of its samples), name, length in seconds and rate in Hz.

    `warnings` are sentences about what it is not good for; `waveform` the highest magnitude, 0 to 1, of equal pieces.
    """

    key: str
    name: str
    seconds: float
    rate: int
    warnings: tuple[str, ...] = ()
    waveform: tuple[float, ...] = ()

    @property
    def file(self) -> Path:
        """Where its sound lies."""
        return clips_folder() / f"{self.key}{SOUND}"


def data_folder() -> Path:
    """Return the folder of the user's own sounds; it need not be there yet."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "gramophone"


def clips_folder() -> Path:
    """Return the folder of the user's own clips; it need not be there yet."""
    return data_folder() / "clips"


def clip_bin() -> Bin:
    """Return the bin to which removed clips go."""
    return Bin(clips_folder() / "bin")


def own_clips() -> dict[str, OwnClip]:
    """Return the user's own clips by name, in alphabetical order."""
    folder = clips_folder()
    try:
        changed_ns = folder.stat().st_mtime_ns
    except OSError:
        return {}
    return dict(_read_all(folder, changed_ns))


def clip_called(name: str) -> OwnClip | None:
    """Return the user's own clip of this name, or of this file name; None if there is none."""
    clips = own_clips()
    return clips.get(name) or next((clip for clip in clips.values() if clip.file.name == name), None)


def shown_name(file: str) -> str:
    """Return how people call a clip's file: an own one by its name, others by their file name."""
    path = Path(file)
    if path.parent.name == "clips" and path.parent == clips_folder() and (clip := clip_called(path.name)):
        return clip.name
    return path.name


def keep_clip(clip: OwnClip, instead: OwnClip | None = None) -> OwnClip:
    """Write down what is known of a clip whose sound is in place already; return it under the name that it got.

    Where another clip than the one that it is kept `instead` of has its name, a number is added.

    Raises:
        ClipError: no name can be made of its name, or the file cannot be written.
    """
    same = {clip.key, instead.key if instead else ""}
    taken = {name for name, other in own_clips().items() if other.key not in same}
    wanted = clip_name(clip.name)
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    kept = replace(clip, name=wanted if wanted not in taken else next(n for n in numbered if n not in taken))
    path = clips_folder() / f"{clip.key}{FACTS}"
    try:
        with atomic_write(path) as part:
            part.write_text(json.dumps(asdict(kept)), "utf-8")
    except OSError as error:
        raise ClipError(f"clip {kept.name}: cannot be written: {error.strerror}") from None
    finally:
        _read_all.cache_clear()  # a folder's time may be too coarse to show it
    return kept


def rename_clip(name: str, wanted: str) -> OwnClip:
    """Call a clip otherwise; presets that play it go on to do so.

    Raises:
        ClipError: there is no such clip, or no name can be made of `wanted`.
    """
    return keep_clip(replace(demand_clip(name), name=clip_name(wanted)))


def remove_clip(name: str) -> None:
    """Move a clip to the bin beside the others.

    Raises:
        ClipError: there is no such clip, or it cannot be moved.
    """
    discard(demand_clip(name))


def discard(clip: OwnClip) -> None:
    """Move a clip's files to the bin.

    Raises:
        ClipError: they cannot be moved.
    """
    try:
        clip_bin().put(*(clips_folder() / f"{clip.key}{suffix}" for suffix in (FACTS, SOUND)))
    except OSError as error:
        raise ClipError(f"clip {clip.name}: cannot be moved to the bin: {error.strerror}") from None
    finally:
        _read_all.cache_clear()


def clip_name(text: str) -> str:
    """Return the name made of a text or a file name: small letters and digits, joined by `-`.

    Raises:
        ClipError: no name can be made of it.
    """
    try:
        return name_of(text.rpartition(".")[0] or text)
    except PresetError as error:
        raise ClipError(f"clip: {error}") from None


def demand_clip(name: str) -> OwnClip:
    """Return the user's own clip of this name.

    Raises:
        ClipError: there is none.
    """
    if clip := clip_called(name):
        return clip
    known = ", ".join(own_clips())
    raise ClipError(f"clip {name[:80]!r}: " + (f"expected one of {known}" if known else "there are none of your own"))


@lru_cache(1)
def _read_all(folder: Path, _changed_ns: int) -> tuple[tuple[str, OwnClip], ...]:
    """Return the clips of a folder by name; what is no clip is left out."""
    found = {}
    for path in folder.glob(f"*{FACTS}"):
        if _KEY.fullmatch(path.stem) and path.with_suffix(SOUND).is_file() and (clip := _read(path)):
            found[clip.name] = clip
    return tuple(sorted(found.items()))


def _read(path: Path) -> OwnClip | None:
    try:
        facts = json.loads(path.read_text("utf-8"))
        return OwnClip(
            path.stem,
            str(facts["name"]),
            float(facts["seconds"]),
            int(facts["rate"]),
            tuple(map(str, facts["warnings"])),
            tuple(map(float, facts["waveform"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
