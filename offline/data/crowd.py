"""A crowd of speakers that do not exist: Kokoro-82M's voices and random draws around them, written `crowd:SIZE`.

Kokoro takes a speaker as a vector. A speaker encoder distinguishes Gaussian draws with the mean and covariance of one
sex's voices nearly as well as the voices themselves, where averages of two are not. Each speaker says `LINES` lines of
fillets-ng's dialogues (GPL-2) in several languages, `CHORUS` speakers the same ones with one prosody. The voices
`UNSEEN` are neither spoken nor drawn around, so that models can be judged by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data import corpora
from gramophone.offline.data.packages import filled
from gramophone.offline.data.spoken import LANGUAGES, PROSODY, Kokoro, kokoro_styles, texts_of, write
from gramophone.realtime.system.cache_folder import cache_folder

PACKAGE, LICENCE = "Kokoro-82M", "Apache-2.0"
UNSEEN = ("af_nova", "am_adam", "bf_isabella", "bm_lewis")
"""Voices that are left out, for judges."""
LINES = 3
"""Lines of each speaker, about 4 s each."""
CHORUS = 4
"""How many speakers of one sex say the same lines, aligned frame by frame."""
_ENGLISH = 2
"""How many of them are English."""
_SPREAD = 1.2
"""Standard deviations of the draws, in those of the voices: 1 to 1.4 keep the quality."""
_VERSION = 2
Styles = NDArray[np.float32]


def crowd(size: int) -> Iterator[Path]:
    """Yield a folder for each of `size` speakers, synthesised if it is not in the cache.

    Raises:
        PackageError: Kokoro cannot be had.
        CorporaError: the texts cannot be had, or eSpeak NG is not installed.
    """
    folders = [cache_folder() / "crowd" / _name(number) for number in range(size)]
    if all(folder.is_dir() for folder in folders):
        yield from folders
        return
    kokoro = Kokoro(cache_folder() / "kokoro")
    voices = kokoro_styles(cache_folder() / "kokoro")
    texts = {language: sorted(texts_of(language).items()) for language in LANGUAGES}
    for number, folder in enumerate(folders):
        if not folder.is_dir():
            _speak(folder, number, kokoro, voices, texts)
        yield folder


def unseen(name: str) -> Path:
    """Return the folder with 12 lines, half of them English, of one of `UNSEEN`.

    Raises:
        PackageError: Kokoro cannot be had.
        CorporaError: the texts cannot be had, or eSpeak NG is not installed.
    """
    folder = cache_folder() / "crowd-unseen" / name
    if not folder.is_dir():
        kokoro = Kokoro(cache_folder() / "kokoro")
        style = kokoro_styles(cache_folder() / "kokoro")[name]
        chance = np.random.default_rng([_VERSION, UNSEEN.index(name)])
        languages = ["en"] * 6 + list(LANGUAGES)[1:7]
        with filled(folder) as part:
            for language in languages:
                texts = sorted(texts_of(language).items())
                key, text = texts[chance.integers(len(texts))]
                signs = kokoro.signs(text, language)
                write(part / f"{language}__{key}.wav", kokoro.speak(signs, style[len(signs) - 1]))
    return folder


def drawn(voices: dict[str, Styles], number: int) -> Styles:
    """Return the styles `(510, 256)` of a speaker: first the voices themselves, then draws, of one sex in turn."""
    names = [name for name in sorted(voices) if name not in UNSEEN]
    if number < len(names):
        return voices[names[number]]
    own = np.stack([voices[name] for name in names if (name[1] == "f") == (number % 2 == 0)])
    middle = own.mean(axis=0)
    weights = np.random.default_rng([_VERSION, number]).standard_normal(len(own)) * _SPREAD / np.sqrt(len(own))
    return np.asarray(middle + np.tensordot(weights, own - middle, 1), np.float32)


def _name(number: int) -> str:
    return f"draw-{number:04}-{_VERSION}"


def _female(voices: dict[str, Styles], number: int) -> bool:
    """Return whether a speaker is drawn from the women's voices."""
    names = [name for name in sorted(voices) if name not in UNSEEN]
    return names[number][1] == "f" if number < len(names) else number % 2 == 0


def _lead(voices: dict[str, Styles], number: int) -> int:
    """Return the first of the `CHORUS` speakers of one sex who say the same lines with the same prosody."""
    alike = [one for one in range(number + 1) if _female(voices, one) == _female(voices, number)]
    return alike[(len(alike) - 1) // CHORUS * CHORUS]


def _speak(
    folder: Path, number: int, kokoro: Kokoro, voices: dict[str, Styles], texts: dict[str, list[tuple[str, str]]]
) -> None:
    """Say one speaker's lines, frame by frame aligned with the others'; what the split would hold out is left out."""
    lead = _lead(voices, number)
    own, leads = drawn(voices, number), drawn(voices, lead)
    chance = np.random.default_rng([_VERSION, lead, 1])
    others = [language for language in LANGUAGES if language != "en"]
    languages = ["en"] * _ENGLISH + [others[index] for index in chance.permutation(len(others))[: LINES - _ENGLISH]]
    with filled(folder) as part:
        for language in languages:
            while True:
                key, text = texts[language][chance.integers(len(texts[language]))]
                if not corpora.is_held_out(f"{_name(lead)}__{language}__{key}"):
                    break
            signs = kokoro.signs(text, language)
            place = len(signs) - 1
            style = np.concatenate([own[place, :PROSODY], leads[place, PROSODY:]])
            write(part / f"{language}__{key}.wav", kokoro.speak(signs, style))
