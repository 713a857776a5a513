"""Phone transcripts of the corpora's recordings: their texts, converted by eSpeak NG (Debian's espeak-ng).

One corpus, festvox-ru, has time-aligned labels as well.
"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from gramophone.models.nets.phone_classifier import PHONES, SILENCE
from gramophone.offline.data.corpora import VOICES, CorporaError, fetch, recordings, unpacked_file

Words = list[list[str]]
"""The phones of each word."""

_LANGUAGES = {"english": "en-us", "french": "fr-fr", "italian": "it", "russian": "ru", "moscow": "ru"} | {
    "big-fish": "cs",
    "small-fish": "cs",
}
_STAMPS = "stamps-"
_FESTVOX = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"
_ALIKE = {
    "aɑɐʌäᵻ": "a", "eɛ": "e", "oɔɒɵ": "o", "uʊʉ": "u", "ɨɯ": "ɨ", "əɜɚ": "ə", "yøœʏ": "y", "kc": "k", "ɡgɟ": "ɡ",
    "vβʋ": "v", "ʃʂɕ": "ʃ", "ʒʐʑ": "ʒ",
    "xhχɣɦçħ": "x", "nŋɲɳ": "n", "lɫʎɬ": "l", "rɾ": "r", "ʁʀ": "ʁ", "jʝ": "j", "wɥ": "w",
}  # fmt: skip
_CLASS = {symbol: phone for symbols, phone in _ALIKE.items() for symbol in symbols} | {
    phone: phone for phone in PHONES if phone != SILENCE
}
_AFFRICATES = {("t", "s"): "ts", ("d", "z"): "ts", ("t", "ʃ"): "tʃ", ("d", "ʒ"): "dʒ"}
_RUSSIAN = {
    "pau": SILENCE, "ssil": SILENCE, "sch": "ʃ", "sh": "ʃ", "zh": "ʒ", "ch": "tʃ", "c": "ts", "h": "x", "ae": "e",
    "ay": "ə", "ur": "u", "g": "ɡ", "y": "ɨ",
}  # fmt: skip


def language_of(voice: str) -> str:
    """Return the language of a voice by eSpeak NG's name."""
    return voice.removeprefix(_STAMPS) if voice.startswith(_STAMPS) else _LANGUAGES[voice]


def said(voice: str) -> dict[str, Words]:
    """Return the phone transcripts of a voice's recordings by name, of those that have a text.

    Raises:
        CorporaError: eSpeak NG is not installed, or a package with texts cannot be had.
    """
    texts = {name: text for name, text in _texts(voice).items() if "[" not in text and not re.search(r"\d", text)}
    written = [re.sub(r"[^\w'’-]+", " ", text).strip().lower() for text in texts.values()]
    words = dict(zip(texts, spoken(written, language_of(voice)), strict=True))
    return {name: phones for name, phones in words.items() if phones}


def timed(voice: str) -> dict[str, list[tuple[float, str]]]:
    """Return when each phone of a voice's recordings ends, in seconds, by name; empty for a corpus without labels."""
    if voice != "moscow":
        return {}
    at = unpacked_file(VOICES[voice].package, f"{_FESTVOX}/lab")
    return {path.stem: _labels(path) for path in sorted(at.glob("*.lab"))}


def _labels(path: Path) -> list[tuple[float, str]]:
    lines = [line.split() for line in path.read_text("utf-8").splitlines()]
    return [(float(line[0]), _russian(line[2])) for line in lines if len(line) == 3]


def _russian(name: str) -> str:
    """Return the phone of festvox-ru's name for it: soft consonants and stressed vowels are written twice."""
    once = name if name in _RUSSIAN else name[: len(name) // 2] if name[::2] == name[1::2] else name
    once = _RUSSIAN.get(once, once)
    return once if once in PHONES else _CLASS[once]


def _texts(voice: str) -> dict[str, str]:
    at = VOICES[voice]
    names = recordings(voice)
    if voice.startswith(_STAMPS):
        found = {name: _described(path, language_of(voice)) for name, path in names.items()}
    elif at.package.startswith("asterisk"):
        found = _asterisk(at.package.removesuffix("-g722"))
    elif voice == "moscow":
        lines = unpacked_file(at.package, f"{_FESTVOX}/etc/txt.done.data").read_text("utf-8").splitlines()
        found = {match[1]: match[2] for line in lines if (match := re.match(r'\( (\S+) "(.*)" \)', line))}
    else:
        found = _dialogs()
        found = {name: found.get(path.stem, "") for name, path in names.items()}
    return {name: found[name] for name in names if found.get(name)}


def _described(path: Path, language: str) -> str:
    """Return the text beside a stamp's sound in a language."""
    beside = path.with_name(path.name.split("_desc_")[0] + ".txt")
    if not beside.is_file():
        return ""
    match = re.search(rf"^{language}\.utf8=(.*)$", beside.read_text("utf-8", "replace"), re.MULTILINE)
    return match[1] if match else ""


def _asterisk(package: str) -> dict[str, str]:
    fetch([package])
    (path,) = unpacked_file(package, f"usr/share/doc/{package}").glob("core-sounds-*.txt.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.partition(":") for line in file if ":" in line and not line.startswith(";")]
    return {name.strip().replace("/", "__"): text.strip() for name, _, text in lines}


def _dialogs() -> dict[str, str]:
    fetch(["fillets-ng-data"])
    scripts = unpacked_file("fillets-ng-data", "usr/share/games/fillets-ng/script").glob("*/dialogs_cs.lua")
    pattern = re.compile(r'dialogId\("([^"]+)".*?\)\s*dialogStr\("((?:[^"\\]|\\.)*)"', re.DOTALL)
    return {name: text for path in scripts for name, text in pattern.findall(path.read_text("utf-8", "replace"))}


def spoken(texts: Sequence[str], language: str) -> list[Words]:
    """Return the phones of texts in a language, a line each.

    Raises:
        CorporaError: eSpeak NG is not installed, or does not know the language.
    """
    return [_words(text, language) if text else [] for text in texts]


def ipa(text: str, language: str, joint: str) -> str:
    """Return a text in the International Phonetic Alphabet; `joint` says how phones are set apart or together.

    Raises:
        CorporaError: eSpeak NG is not installed, or does not know the language.
    """
    if not shutil.which("espeak-ng"):
        raise CorporaError("espeak-ng, which converts text to phones, is not installed: apt-get install espeak-ng")
    command = ["espeak-ng", "-q", "--ipa", joint, "-v", language, "--", text]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CorporaError(f"espeak-ng -v {language}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def _words(text: str, language: str) -> Words:
    return [phones for word in ipa(text, language, "--sep=_").split() if (phones := _phones(word))]


def _phones(word: str) -> list[str]:
    """Return the phones of a word in IPA: without stress, length, nasality and softness."""
    word = re.sub(r"\(.*?\)", "", word)
    symbols = [symbol for symbol in unicodedata.normalize("NFD", word) if symbol in _CLASS or symbol in "_ɝ"]
    phones = [
        part for symbol in symbols for part in (("ə", "ɹ") if symbol in "ɝ" else (_CLASS.get(symbol, ""),)) if part
    ]
    joined: list[str] = []
    for phone in phones:
        if joined and (both := _AFFRICATES.get((joined[-1], phone))):
            joined[-1] = both
        else:
            joined.append(phone)
    return joined
