"""Recordings for training and judging: Debian packages of speech and music, unpacked into a cache outside the tree.

Every model and every figure uses one split: a speech recording is held out when the CRC-32 of its name is divisible by
four, music when it is in one of three packages. Held-out recordings are never trained on. The name is the path below
the voice's folder, without suffix and with `/` written `__`.

Licences: the Asterisk prompts CC-BY-SA-3.0 (English, French) and CC-BY-3.0 (Italian, Russian), festvox-ru BSD-like,
fillets-ng GPL-2, tuxpaint-stamps GPL-2; music GPL-2 or CC-BY-SA. Nothing of them is part of Gramophone.
"""

from __future__ import annotations

import functools
import gzip
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import Sound, resampled
from gramophone.offline.data.packages import filled
from gramophone.realtime.system.cache_folder import cache_folder

_ASTERISK = "usr/share/asterisk/sounds"
_STAMPS_PACKAGE = "tuxpaint-stamps-default"
_STAMPS = "usr/share/tuxpaint/stamps"
_FILLETS = "usr/share/games/fillets-ng/sound"
_TRANSCRIPTS = "asterisk-core-sounds-en"
G722_RATE = 16_000
_NOT_SPEECH = ("silence__", "ascending-2tone", "descending-2tone", "beep", "tt-monkeys")


class CorporaError(RuntimeError):
    """Recordings are not available."""


@dataclass(frozen=True)
class VoiceCorpus:
    """One speaker: the package, its sound folder, the pattern of the speaker's files, and the sex."""

    package: str
    folder: str
    pattern: str
    female: bool | None = None


VOICES = {
    "english": VoiceCorpus("asterisk-core-sounds-en-g722", f"{_ASTERISK}/en_US_f_Allison", "**/*.g722", female=True),
    "french": VoiceCorpus("asterisk-core-sounds-fr-g722", f"{_ASTERISK}/fr_*", "**/*.g722", female=True),
    "italian": VoiceCorpus("asterisk-core-sounds-it-g722", f"{_ASTERISK}/it_IT_m_Carlo", "**/*.g722", female=False),
    "russian": VoiceCorpus("asterisk-core-sounds-ru-g722", f"{_ASTERISK}/ru_*", "**/*.g722", female=True),
    "moscow": VoiceCorpus(
        "festvox-ru", "usr/share/festival/voices/russian/msu_ru_nsh_clunits/wav", "*.wav", female=False
    ),
    "big-fish": VoiceCorpus("fillets-ng-data-cs", _FILLETS, "**/*-v-*.ogg", female=False),
    "small-fish": VoiceCorpus("fillets-ng-data-cs", _FILLETS, "**/*-m-*.ogg"),
    "stamps-be": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_be.ogg", female=True),
    "stamps-bg": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_bg.ogg", female=False),
    "stamps-el": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_el.ogg", female=True),
    "stamps-es": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_es.ogg", female=True),
    "stamps-fr": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_fr.ogg", female=False),
    "stamps-ro": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_ro.ogg", female=True),
    "stamps-ru": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_ru.ogg", female=False),
}

UNSEEN = ("stamps-be", "stamps-ru")
"""Those that no model is trained on: unseen target speakers, to evaluate one-shot conversion."""
PEOPLE = tuple(name for name in VOICES if name not in UNSEEN)
"""Those that models are trained on."""

_LETTERS = ("ar", "cs", "da", "de", "en", "en_GB", "es", "fr", "he", "hu", "it", "lt", "ml", "nl", "pt_BR", "ru", "uk")
FURTHER = {
    "dutch-big-fish": VoiceCorpus("fillets-ng-data-nl", _FILLETS, "**/*-v-*.ogg"),
    "dutch-small-fish": VoiceCorpus("fillets-ng-data-nl", _FILLETS, "**/*-m-*.ogg"),
    "stamps-lt": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_lt.ogg"),
    **{
        f"letters-{language}": VoiceCorpus("klettres-data", f"usr/share/klettres/{language}", "*/*.ogg")
        for language in _LETTERS
    },
}
"""More people, of whom only the content encoder learns: two actors, and those who say letters and syllables."""
_KTUBERLING, _HEDGEWARS = "usr/share/ktuberling/sounds", "usr/share/games/hedgewars/Data/Sounds/voices"
_ACTORS = (
    "Classic Default Default_es Default_pl Default_ru Default_uk HillBilly "
    "Mobster Pirate Russian Russian_pl Singer Surfer"
)
GAMES = {
    **{
        f"ktuberling-{language}": VoiceCorpus("ktuberling-data", f"{_KTUBERLING}/{language}", "*.*")
        for language in ("el", "en", "gl", "lt", "sl", "wa")
    },
    **{f"hedgewars-{name}": VoiceCorpus("hedgewars-data", f"{_HEDGEWARS}/{name}", "*.ogg") for name in _ACTORS.split()},
}
"""People and actors who say a minute each, of whom only content encoder and covariance of maps learn."""
DEVELOPMENT = {
    **{
        f"ktuberling-{language}": VoiceCorpus("ktuberling-data", f"{_KTUBERLING}/{language}", "*.*")
        for language in ("fr", "nn", "uk")
    },
    "hedgewars-British": VoiceCorpus("hedgewars-data", f"{_HEDGEWARS}/British", "*.ogg"),
}
"""People that nothing is trained on, to make choices by."""
JUDGES = {
    "stamps-ca": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_ca.ogg"),
    "stamps-da": VoiceCorpus(_STAMPS_PACKAGE, _STAMPS, "**/*_desc_da.ogg"),
}
"""People that nothing is trained on, besides `UNSEEN`."""
EVERY = VOICES | FURTHER | GAMES | DEVELOPMENT | JUDGES

LICENCES = {
    "asterisk-core-sounds-en-g722": "CC-BY-SA-3.0",
    "asterisk-core-sounds-fr-g722": "CC-BY-SA-3.0",
    "asterisk-core-sounds-it-g722": "CC-BY-3.0",
    "asterisk-core-sounds-ru-g722": "CC-BY-3.0",
    "festvox-ru": "BSD-like (Moscow State University)",
    "fillets-ng-data-cs": "GPL-2",
    "fillets-ng-data-nl": "GPL-2",
    "hedgewars-data": "GFDL-1.3",
    "klettres-data": "GPL-2",
    "ktuberling-data": "GPL-2",
    _STAMPS_PACKAGE: "GPL-2",
}
"""Licence by package of voices."""

HELD_OUT_MUSIC = {
    "wesnoth": ("wesnoth-1.16-music", "usr/share/games/wesnoth/1.16/data/core/music"),
    "singularity": ("singularity-music", "usr/share/games/singularity/music"),
    "muldjord": ("fretsonfire-songs-muldjord", "usr/share/games/fretsonfire/data/songs/muldjord"),
    "sectoid": ("fretsonfire-songs-sectoid", "usr/share/games/fretsonfire/data/songs/sectoid"),
}
DEVELOPMENT_MUSIC = {
    "fillets": ("fillets-ng-data", "usr/share/games/fillets-ng/music"),
    "hyperrogue": ("hyperrogue-music", "usr/share/hyperrogue/music"),
    "sonic-pi": ("sonic-pi-samples", "usr/share/sonic-pi/samples"),
    "warzone": ("warzone2100-music", "usr/share/games/warzone2100/music/albums/*"),
}
"""More music that no model is trained on, to choose defaults by."""

PACKAGES = tuple(
    dict.fromkeys(
        [_TRANSCRIPTS, *(voice.package for voice in VOICES.values()), *(name for name, _ in HELD_OUT_MUSIC.values())]
    )
)


def card_entry(name: str) -> str:
    """Return what a model's card says of a voice that it has learnt from: package, name, and licence."""
    package = EVERY[name].package
    return f"{package} ({name}): {LICENCES[package]}"


def fetch(packages: Iterable[str] = PACKAGES) -> None:
    """Download and unpack those packages that the cache does not have.

    Raises:
        CorporaError: this is no Debian or Ubuntu, or a package cannot be downloaded.
    """
    missing = [package for package in packages if not (_root() / package).is_dir()]
    if not missing:
        return
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise CorporaError(f"{', '.join(missing)}: not in {_root()}, and apt-get, which would fetch them, is not here")
    _root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_root(), prefix=".") as archives:
        _run(["apt-get", "download", *missing], Path(archives))
        for package in missing:
            (archive,) = Path(archives).glob(f"{package}_*.deb")
            with filled(_root() / package) as part:
                _run(["dpkg-deb", "--extract", str(archive), str(part)], Path(archives))


def unpacked(packages: Iterable[str] = PACKAGES) -> bool:
    """Return whether the cache has all of `packages`."""
    return all((_root() / package).is_dir() for package in packages)


def unpacked_file(package: str, inside: str) -> Path:
    """Return the file or folder `inside` of an unpacked package.

    Raises:
        CorporaError: there is no such file, or the package is not unpacked.
    """
    path = _root() / package / inside
    if not path.exists():
        raise CorporaError(f"{path}: not there; is {package} unpacked?")
    return path


def is_held_out(name: str) -> bool:
    """Return whether the speech recording of this name is for judging only."""
    return zlib.crc32(name.encode()) % 4 == 0


def recordings(voice: str) -> dict[str, Path]:
    """Return a voice's recordings by name, in the order of their names: no tones, silence, monkeys or empty files.

    Raises:
        CorporaError: its package is not unpacked.
    """
    at = EVERY[voice]
    folder = _only((_root() / at.package).glob(at.folder), f"{at.package}/{at.folder}")
    names = {str(path.relative_to(folder).with_suffix("")).replace("/", "__"): path for path in folder.glob(at.pattern)}
    spoken = {name: names[name] for name in sorted(names) if not name.startswith(_NOT_SPEECH)}
    return {name: path for name, path in spoken.items() if path.stat().st_size}


def held_out_music(piece: str) -> Path:
    """Return the file of a held-out piece such as `wesnoth/battle`.

    Raises:
        CorporaError: there is no such piece.
    """
    album, _, title = piece.partition("/")
    package, folder = (HELD_OUT_MUSIC | DEVELOPMENT_MUSIC)[album]
    for suffix in (".ogg", ".opus", ".flac"):
        for path in (_root() / package).glob(f"{folder}/{title}{suffix}"):
            return path
    raise CorporaError(f"{_root() / package / folder / title}: no such recording; is {package} unpacked?")


def load(path: Path, rate: int, start_s: float = 0.0, seconds: float | None = None) -> Sound:
    """Return a recording, or `seconds` of it, mixed to mono at `rate` Hz."""
    import soundfile

    if path.suffix == ".g722":
        sound, own_rate = _read_g722(path), G722_RATE
    else:
        with soundfile.SoundFile(path) as file:
            own_rate = file.samplerate
            file.seek(round(start_s * own_rate))
            frames = -1 if seconds is None else round(seconds * own_rate)
            sound = file.read(frames, dtype="float32", always_2d=True).mean(axis=1)
    return resampled(sound, own_rate, rate)


def transcripts(voice: str) -> dict[str, str]:
    """Return the transcripts of a voice's recordings by name, of those that have one."""
    at = EVERY[voice]
    if voice == "english":
        fetch([_TRANSCRIPTS])
        return english_transcripts()
    if at.package != _STAMPS_PACKAGE:
        return {}
    return {
        name: beside.read_text("utf-8", "replace").strip()
        for name, path in recordings(voice).items()
        if (beside := path.with_suffix(".txt")).is_file()
    }


@functools.cache
def english_transcripts() -> dict[str, str]:
    """Return the transcripts of the English prompts by name; tones and the like, in [brackets], are left out."""
    path = _only((_root() / _TRANSCRIPTS).glob("usr/share/doc/*/core-sounds-en.txt.gz"), _TRANSCRIPTS)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.partition(":") for line in file if ":" in line and not line.startswith(";")]
    return {name.strip().replace("/", "__"): text.strip() for name, _, text in lines if "[" not in text}


def _read_g722(path: Path) -> Sound:
    import av

    with av.open(str(path), format="g722") as file:
        frames = [frame.to_ndarray().ravel() for frame in file.decode(audio=0)]
    if not frames:
        raise CorporaError(f"{path}: no sound in it")
    samples: NDArray[np.int16] = np.concatenate(frames)
    return np.divide(samples, 32_768, dtype=np.float32)


def _root() -> Path:
    return cache_folder("corpora")


def _only(found: Iterable[Path], what: str) -> Path:
    for path in found:
        return path
    raise CorporaError(f"{what}: not in {_root()}; corpora.fetch() gets it")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CorporaError(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
