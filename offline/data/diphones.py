"""Debian's Festival voices as speakers: diphone synthesis from real recordings, written `diphones:NAME`.

Each says lines of fillets-ng's dialogues (GPL-2), of its own language where there are some; phones matter, not words.
flite's voices are kept for evaluation, so `kal` and `slt`, which are the same people's, are not among these.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gramophone.offline.data import corpora
from gramophone.offline.data.packages import filled
from gramophone.offline.data.spoken import texts_of
from gramophone.realtime.system.cache_folder import cache_folder


@dataclass(frozen=True)
class DiphoneVoice:
    """Festival's name of a voice, the Debian package it comes from, its licence, its texts' language and encoding."""

    festival: str
    package: str
    licence: str
    language: str
    encoding: str = "ascii"


VOICES = {
    "ked": DiphoneVoice("ked_diphone", "festvox-kdlpc16k", "MIT-like", "en"),
    "lp": DiphoneVoice("lp_diphone", "festvox-italp16k", "GPL-2", "it", "iso-8859-1"),
    "pc": DiphoneVoice("pc_diphone", "festvox-itapc16k", "GPL-2", "it", "iso-8859-1"),
    "ph": DiphoneVoice("czech_ph", "festvox-czech-ph", "GPL-2", "cs", "iso-8859-2"),
    "lj": DiphoneVoice("suo_fi_lj_diphone", "festvox-suopuhe-lj", "LGPL-2.1", "it"),
    "mv": DiphoneVoice("hy_fi_mv_diphone", "festvox-suopuhe-mv", "LGPL-2.1", "it"),
    "ona": DiphoneVoice("upc_ca_ona_hts", "festvox-ca-ona-hts", "LGPL-2.1", "es", "iso-8859-15"),
}
LINES = 60


def diphones(name: str) -> Path:
    """Return the folder with a voice's speech, synthesised if it is not in the cache.

    Raises:
        CorporaError: Festival or the voice is not installed, or the texts cannot be had.
    """
    folder = cache_folder() / "diphones" / name
    if folder.is_dir():
        return folder
    voice = VOICES[name]
    if not shutil.which("text2wave"):
        raise corpora.CorporaError(f"text2wave is not installed: apt-get install festival {voice.package}")
    texts = [(key, text) for key, text in sorted(texts_of(voice.language).items()) if not corpora.is_held_out(key)]
    chance = np.random.default_rng(list(VOICES).index(name))
    with filled(folder) as part:
        for index in sorted(chance.permutation(len(texts))[:LINES]):
            key, text = texts[index]
            _say(voice, text, part / f"{key}.wav")
    return folder


def _say(voice: DiphoneVoice, text: str, path: Path) -> None:
    """Synthesise a line to a sound file; a line on which Festival fails is left out."""
    plain = unicodedata.normalize("NFKD", text) if voice.encoding == "ascii" else text
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(plain.encode(voice.encoding, "ignore"))
        file.flush()
        command = ["text2wave", "-F", "16000", "-eval", f"(voice_{voice.festival})", "-o", str(path), file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or "unbound variable" in done.stderr:
        path.unlink(missing_ok=True)
        if "unbound variable" in done.stderr:
            raise corpora.CorporaError(f"Festival has no {voice.festival}: apt-get install {voice.package}")
