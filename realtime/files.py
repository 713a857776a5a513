"""Sound files: read block by block, written whole or not at all."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile

from gramophone.presets.atomic import create_part, publish
from gramophone.realtime.stage import Audio

FORMATS = {
    ".wav": ("WAV", "FLOAT"),
    ".flac": ("FLAC", "PCM_24"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".aiff": ("AIFF", "FLOAT"),
    ".aif": ("AIFF", "FLOAT"),
}
"""libsndfile's format by a file name's ending, and the sample type that is written: the finest in common use."""
EXTENSIONS = tuple(FORMATS)
_WAV_LIMIT_BYTES = 4_000_000_000
_UNKNOWN_LENGTHS = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""What programs that write to a pipe put where the length of the sound belongs."""

_CONTAINERS = {b"RIFF": ("<I", b"data"), b"FORM": (">I", b"SSND")}
"""Containers of chunks by their first bytes: how lengths are stored, and which chunk holds the sound."""


class SoundFileError(OSError):
    """A sound file cannot be read or written; the message names the file and what was found."""


class AudioReader:
    """An open sound file: `rate` in Hz, `channels`, `frames` as its header announces them.

    Raises:
        SoundFileError: the file is missing, not a sound file, empty, or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_present(path)
        try:
            self._file = soundfile.SoundFile(path)
        except soundfile.LibsndfileError as error:
            raise SoundFileError(
                f"{path}: not a sound file that can be read ({error.error_string.rstrip('.')}); "
                f"expected {', '.join(EXTENSIONS)}"
            ) from None
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int = self._file.frames
        self.format: str = self._file.format
        self.subtype: str = self._file.subtype
        if not self.frames:
            self._file.close()
            raise SoundFileError(f"{path}: no sound in it (0 frames)")

    def blocks(self, size: int) -> Iterator[Audio]:
        """Yield the sound as `(channels, size)` blocks, the last one shorter.

        Raises:
            SoundFileError: the file ends before its announced length.
        """
        found = 0
        while found < self.frames:
            try:
                block = self._file.read(min(size, self.frames - found), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise self._cut_short(found, error.error_string) from None
            if not len(block):
                raise self._cut_short(found, "the data end")
            found += len(block)
            yield np.ascontiguousarray(block.T)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _cut_short(self, found: int, why: str) -> SoundFileError:
        return SoundFileError(
            f"{self.path}: cut short: {found / self.rate:.2f} s of {self.frames / self.rate:.2f} s can be read "
            f"({why.rstrip('.')}); export or copy it again"
        )


class AudioWriter:
    """A sound file being written: it appears under its name when the `with` block ends well, else not at all.

    The name's ending decides the format; WAV is 32-bit float, so that nothing clips, and RF64 beyond 4 GB.

    Raises:
        SoundFileError: the folder or disk cannot be written.
    """

    def __init__(self, path: Path, rate: int, channels: int, frames: int) -> None:
        self.path = path
        name, subtype = FORMATS[path.suffix.lower()]
        if name == "WAV" and frames * channels * 4 > _WAV_LIMIT_BYTES:
            name = "RF64"
        try:
            self._part = create_part(path)
        except OSError as error:
            raise self._failure(error) from None
        # Also where an interrupt comes between opening the file and the `with` block.
        self._clear = weakref.finalize(self, _remove, self._part)
        try:
            self._file = soundfile.SoundFile(self._part, "w", rate, channels, subtype, format=name)
        except (soundfile.LibsndfileError, OSError) as error:
            self._clear()
            raise self._failure(error) from None

    def write(self, block: Audio) -> None:
        """Append a block, `(channels, frames)`.

        Raises:
            SoundFileError: the disk is full or gone.
        """
        try:
            self._file.write(block.T)
        except (soundfile.LibsndfileError, OSError, AssertionError) as error:
            raise self._failure(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            expected = self._file.frames
            self._file.close()
            if kind is None:
                self._check_whole(expected)
                publish(self._part, self.path)
        except (soundfile.LibsndfileError, OSError) as failure:
            raise self._failure(failure) from None
        finally:
            self._clear()

    def _check_whole(self, frames: int) -> None:
        """Read the length back: libsndfile swallows a full disk met while its buffers are flushed."""
        found = soundfile.info(self._part).frames
        if found < frames:
            raise SoundFileError(f"only {found} of {frames} frames could be stored; is the disk full?")

    def _failure(self, error: Exception) -> SoundFileError:
        if not self.path.parent.is_dir():
            reason = "no such folder"
        elif isinstance(error, soundfile.LibsndfileError):
            reason = error.error_string
        elif isinstance(error, AssertionError):
            reason = "not all frames could be stored; is the disk full?"
        else:
            reason = getattr(error, "strerror", None) or str(error)
        return SoundFileError(f"{self.path}: cannot be written: {reason}")


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def read(path: Path, seconds: float | None = None) -> tuple[Audio, int]:
    """Return a whole file, or its first `seconds`, as `(channels, frames)` and its rate in Hz.

    Raises:
        SoundFileError: as `AudioReader`.
    """
    with AudioReader(path) as reader:
        if seconds is not None:
            return next(reader.blocks(max(round(seconds * reader.rate), 1))), reader.rate
        return np.concatenate(list(reader.blocks(1 << 16)), axis=1), reader.rate


def _check_present(path: Path) -> None:
    """Refuse a file that is missing, empty, or holds less sound than a chunk's header announces.

    libsndfile would take the end of such a file for the end of its sound.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            container = _CONTAINERS.get(file.read(4))
            missing = _missing_bytes(file, size, *container) if container else 0
    except OSError as error:
        raise SoundFileError(f"{path}: cannot be read: {error.strerror}") from None
    if not size:
        raise SoundFileError(f"{path}: the file is empty (0 bytes)")
    if missing:
        raise SoundFileError(f"{path}: cut short: {missing} bytes of its sound are missing; export or copy it again")


def _missing_bytes(file: BinaryIO, size: int, number: str, sound: bytes) -> int:
    """Return how many bytes the chunk `sound` promises beyond the end of a file of chunks with lengths in `number`."""
    at = 12
    while at + 8 <= size:
        file.seek(at)
        name, (length,) = file.read(4), struct.unpack(number, file.read(4))
        if name == sound:
            return 0 if length in _UNKNOWN_LENGTHS else max(at + 8 + length - size, 0)
        at += 8 + length + (length & 1)
    return 0
