"""What a sound file holds, by its bytes: the stretches that a decoder is to read, checked against its size."""

from __future__ import annotations

import os
import stat
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from gramophone.realtime.files import chunks, flac, mpeg, ogg
from gramophone.realtime.files.error import SoundFileError, reason
from gramophone.realtime.files.segments import Link

READABLE = ("WAV", "AIFF", "FLAC", "Ogg (Vorbis, Opus)", "MP3", "RF64", "W64", "CAF", "AU", "NIST")

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def open_regular(path: Path) -> BinaryIO:
    """Open a file that has a size and a start to go back to, without waiting for whoever writes a pipe.

    Raises:
        SoundFileError: it cannot be opened, or is a folder, pipe, socket or device; the message names it.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "a device")
            raise SoundFileError(f"{path}: {kind}, not a file; save the sound as a file first")
        # Not blocking: what was a file a moment ago may be a pipe now.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except SoundFileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte in it
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise SoundFileError(f"{path}: cannot be read: {why}") from None
    return os.fdopen(descriptor, "rb", buffering=0)


def survey(file: BinaryIO) -> tuple[list[Link], int]:
    """Return the links of an open sound file, and the frames that a FLAC announces, else 0.

    Raises:
        SoundFileError: it is empty, no sound file, damaged, or holds less than it announces; the file is not named.
        OSError: it cannot be read.
    """
    size = file.seek(0, os.SEEK_END)
    if not size:
        raise SoundFileError("the file is empty (0 bytes)")
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        start, end = 0, mpeg.end_of_sound(data)
        while tag := mpeg.tag_size(data, start):
            start += tag
        magic = data[start : start + 4]
        if magic in chunks.FORMATS:
            return [_survey_chunks(file, data, start, size)], 0
        if magic in (b".snd", b"dns."):
            return [chunks.survey_au(file, start, size)], 0
        if magic == b"NIST":
            return [chunks.survey_nist(file, start, size)], 0
        if magic == b"fLaC":
            link, announced = flac.survey_flac(file, start, end)
            return [link], announced
        if magic == b"OggS":
            return ogg.survey_ogg(data, start, end), 0
        frame = mpeg.find_frame(data, start, end)
        if frame >= 0:
            return [mpeg.survey_mpeg(data, frame, end)], 0
    raise SoundFileError(f"not a sound file that can be read; expected {', '.join(READABLE)}")


def _survey_chunks(file: BinaryIO, data: mmap, start: int, size: int) -> Link:
    link, mpeg_sound = chunks.survey_chunks(file, start, size)
    if not mpeg_sound:
        return link
    frame = mpeg.find_frame(data, mpeg_sound.start, mpeg_sound.stop)
    if frame < 0:
        raise SoundFileError("a WAV for MPEG frames without any in it")
    return mpeg.survey_mpeg(data, frame, mpeg_sound.stop)
