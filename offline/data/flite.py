"""Four synthetic speakers that no model is trained on, with phone labels: Debian's `flite`.

Each says the same held-out English prompts (`corpora.english_transcripts`), and flite says when each phone ends.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import RATE, Sound, levelled
from gramophone.offline.data.packages import filled
from gramophone.realtime.system.cache_folder import cache_folder

VOICES = {"slt": True, "rms": False, "awb": False, "kal16": False}
"""The voices, and whether women's."""
SENTENCES = 40
SILENCE = "pau"
_WORDS = 6
"""Words of a sentence at least."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of a voice: sound at 16 kHz, the end in seconds and name of each phone, and the text."""

    sound: Sound
    phones: tuple[tuple[float, str], ...]
    text: str

    def phone_at(self, seconds: float) -> str:
        """Return the phone at a time in seconds, silence after the last."""
        return next((phone for end, phone in self.phones if seconds < end), SILENCE)


def sentences(name: str, count: int = SENTENCES) -> list[Sentence]:
    """Return the first `count` sentences of a voice.

    Raises:
        CorporaError: flite is not installed, or the texts cannot be had.
    """
    if not shutil.which("flite"):
        raise corpora.CorporaError("flite is not installed: apt-get install flite")
    folder = cache_folder() / "flite" / f"{name}-{count}"
    texts = _texts()[:count]
    if not folder.is_dir():
        with filled(folder) as part:
            for number, text in enumerate(texts):
                _say(name, text, part / f"{number:03}.wav")
    return [
        Sentence(
            levelled(corpora.load(folder / f"{number:03}.wav", RATE)), _phones(folder / f"{number:03}.phones"), text
        )
        for number, text in enumerate(texts)
    ]


def _texts() -> list[str]:
    """Return held-out prompts of some length, in the order of their names."""
    corpora.fetch(["asterisk-core-sounds-en"])
    found = corpora.english_transcripts()
    return [text for name, text in sorted(found.items()) if corpora.is_held_out(name) and len(text.split()) >= _WORDS]


def _say(name: str, text: str, path: Path) -> None:
    command = ["flite", "-psdur", "-voice", name, "-t", text, "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise corpora.CorporaError(f"{' '.join(command)}: {done.stderr.strip()}")
    path.with_suffix(".phones").write_text(done.stdout, "utf-8")


def _phones(path: Path) -> tuple[tuple[float, str], ...]:
    """Return when each phone ends, from `name:seconds ...`."""
    pairs = (entry.rpartition(":") for entry in path.read_text("utf-8").split())
    return tuple((float(end), phone) for phone, _, end in pairs)
