"""Writing sound files: whole under their name, or not at all.

Writing WAV as 32-bit float, RF64 (EBU Tech 3306) beyond 4 GB, with the chunks that players and editors need.
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import soundfile

from gramophone.presets.atomic import create_part, publish
from gramophone.realtime.files.metadata import Metadata
from gramophone.realtime.files.ogg import from_wav
from gramophone.realtime.files.segments import OutputFile, SoundFileError, reason
from gramophone.realtime.files.tagging import append_aiff_chunks, flac_blocks, id3_tag, insert_flac_blocks, riff_chunks
from gramophone.realtime.stage import Audio
from gramophone.realtime.system.interrupts import interrupts

_LIMIT = 0xFFFFFFFF
_FLOAT, _EXTENSIBLE = 3, 0xFFFE
_FLOAT_GUID = bytes.fromhex("0300000000001000800000aa00389b71")


class WavWriter:
    """A WAV being written to `file` at `rate` Hz: its header now, sound block by block, lengths when it is closed.

    `chunks` are names and contents that stand before the sound; `channel_mask` numbers the speakers, 0: not said.
    Where it `may_be_long`, room is left to make it an RF64.
    """

    def __init__(
        self,
        file: OutputFile,
        rate: int,
        channels: int,
        chunks: Sequence[tuple[bytes, bytes]] = (),
        channel_mask: int = 0,
        may_be_long: bool = True,
    ) -> None:
        self._file = file
        self._channels = channels
        self.frames = 0
        frame = channels * 4
        kind = _EXTENSIBLE if channel_mask else _FLOAT
        form = struct.pack("<HHIIHH", kind, channels, rate, rate * frame & _LIMIT, frame, 32)
        form += struct.pack("<HHI", 22, 32, channel_mask) + _FLOAT_GUID if channel_mask else b"\0\0"
        header = b"RIFF\0\0\0\0WAVE"
        header += _chunk(b"JUNK", bytes(28)) if may_be_long else b""  # the place of the 64-bit lengths
        header += _chunk(b"fmt ", form) + _chunk(b"fact", bytes(4))
        self._fact = len(header) - 4
        header += b"".join(_chunk(name, content) for name, content in chunks)
        self._start = len(header) + 8
        file.write(header + b"data\0\0\0\0")

    def write(self, block: Audio) -> None:
        """Append a block, `(channels, frames)`."""
        if block.shape[0] != self._channels:
            raise ValueError(f"a block of {block.shape[0]} channels; expected {self._channels}")
        self._file.write(np.ascontiguousarray(block.T, "<f4").data)
        self.frames += block.shape[1]

    def close(self) -> None:
        """Write the lengths."""
        size = self.frames * self._channels * 4
        riff = self._start + size - 8
        if riff > _LIMIT:
            ds64 = b"ds64" + struct.pack("<IQQQI", 28, riff, size, self.frames, 0)
            self._put(0, b"RF64" + struct.pack("<I", _LIMIT) + b"WAVE" + ds64)
        else:
            self._put(4, struct.pack("<I", riff))
        self._put(self._fact, struct.pack("<I", min(self.frames, _LIMIT)))
        self._put(self._start - 4, struct.pack("<I", _LIMIT if riff > _LIMIT else size))

    def _put(self, at: int, content: bytes) -> None:
        self._file.seek(at)
        self._file.write(content)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


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
_LIMITS = {
    "WAV": (1024, 2**31 - 1),
    "FLAC": (8, 655_350),
    "MP3": (2, 48_000),
    "OGG": (255, 200_000),
    "AIFF": (1024, 2**31 - 1),
}
"""The most channels and the highest rate in Hz of each format. Beyond them libvorbis ends the process (SIGSEGV)."""
_FAMILIES = {"WAV": "RIFF", "FLAC": "FLAC", "MP3": "MP3", "OGG": "OGG", "AIFF": "AIFF"}
"""Which metadata a format holds (`Metadata.family`)."""


class AudioWriter:
    """A sound file being written: it appears under its name when the `with` block ends well, else not at all.

    The name's ending decides the format; WAV is 32-bit float, so that nothing clips, and RF64 beyond 4 GB. `clipped`
    counts the samples written beyond full scale to a format that cannot hold them. `metadata` is kept as far as the
    format allows. At most `frames` are to come, or any number if 0.

    Raises:
        SoundFileError: the format does not take this rate (Hz) or number of channels, or the folder or disk cannot be
            written.
    """

    def __init__(self, path: Path, rate: int, channels: int, frames: int = 0, metadata: Metadata | None = None) -> None:
        self.path = path
        self.clipped = 0
        self._metadata = metadata or Metadata()
        self._channels = channels
        if path.suffix.lower() not in FORMATS:
            raise SoundFileError(f"{path}: cannot write {path.suffix!r}; expected {', '.join(EXTENSIONS)}")
        self._format, subtype = FORMATS[path.suffix.lower()]
        most, highest = _LIMITS[self._format]
        if not (1 <= channels <= most and 1 <= rate <= highest):
            raise SoundFileError(
                f"{path}: cannot be written: {self._format} takes up to {most} channels and {highest} Hz, "
                f"found {channels} channels at {rate} Hz"
            )
        self._front = b""
        try:
            self._part = create_part(path)
            # Also where an interrupt comes between opening the file and the `with` block.
            self._clear = weakref.finalize(self, _remove, self._part)
            self._file = OutputFile(self._part)
        except OSError as error:
            raise self._failure(error) from None
        try:
            with interrupts:
                self._sound = self._start(rate, channels, subtype, frames)
        except (soundfile.LibsndfileError, ValueError, struct.error) as error:
            self._file.close()
            self._clear()
            raise self._failure(error, f"{self._format} at {rate} Hz with {channels} channels") from None

    def write(self, block: Audio) -> None:
        """Append a block, `(channels, frames)`.

        Raises:
            SoundFileError: the disk is full or gone.
            ValueError: it has another number of channels.
        """
        if block.shape[0] != self._channels:
            raise ValueError(f"a block of {block.shape[0]} channels; expected {self._channels}")
        if self._format not in ("WAV", "AIFF"):
            self.clipped += int(np.count_nonzero(np.abs(block) > 1.0))
        if self._format == "OGG":
            block = from_wav(block)
        try:
            with interrupts:
                self._sound.write(block if self._format == "WAV" else block.T)
        except (soundfile.LibsndfileError, OSError, AssertionError) as error:
            raise self._failure(error) from None
        if self._file.error:
            raise self._failure(self._file.error)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the format costs, in sentences: samples that it clipped, metadata that it does not keep."""
        remarks = []
        if self.clipped:
            remarks.append(f"{self.clipped} samples beyond full scale were clipped by the format; WAV keeps them")
        if lost := self._metadata.lost_in(_FAMILIES[self._format], self._channels):
            remarks.append(f"the result's format does not keep {', '.join(lost)}")
        return tuple(remarks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with suppress(soundfile.LibsndfileError), interrupts:
                self._sound.close()
            if kind is None:
                self._finish()
                self._file.close()
                publish(self._part, self.path)
        except OSError as failure:
            raise self._failure(failure) from None
        finally:
            self._file.close()
            self._clear()

    def _start(self, rate: int, channels: int, subtype: str, frames: int) -> Any:
        """Open the encoder, behind what comes before it in the file."""
        data = self._metadata
        if self._format == "WAV":
            may_be_long = not frames or frames * channels * 4 > _WAV_LIMIT_BYTES
            return WavWriter(self._file, rate, channels, riff_chunks(data), data.channel_mask, may_be_long)
        if self._format == "MP3":
            self._front = id3_tag(data)
        elif self._format == "FLAC":
            self._front = flac_blocks(data)
        self._file.write(self._front)
        self._file.start = len(self._front)
        sound = soundfile.SoundFile(self._file, "w", rate, channels, subtype, format=self._format)
        if self._format in ("OGG", "AIFF"):
            for name, value in {"software": data.software, **data.tags}.items():
                if value:
                    with suppress(soundfile.LibsndfileError, UnicodeEncodeError):
                        setattr(sound, name, value)
        return sound

    def _finish(self) -> None:
        """Add what libsndfile does not write, and check that everything is stored: it swallows a full disk."""
        if self._file.error:
            raise self._file.error
        self._file.start = 0
        if self._format == "AIFF":
            append_aiff_chunks(self._file, self._metadata)
        elif self._format == "FLAC":
            insert_flac_blocks(self._file, self._front)
        if self._file.error:
            raise self._file.error

    def _failure(self, error: Exception, asked: str = "") -> SoundFileError:
        if isinstance(error, soundfile.LibsndfileError | AssertionError) and self._file.error:
            error = self._file.error
        if not self.path.parent.is_dir():
            why = "no such folder"
        elif isinstance(error, soundfile.LibsndfileError):
            why = f"{asked}: {error.error_string.rstrip('.')}" if asked else error.error_string.rstrip(".")
        elif isinstance(error, AssertionError):
            why = "not all frames could be stored; is the disk full?"
        elif isinstance(error, OSError):
            why = reason(error)
        else:
            why = f"{asked}: {error}" if asked else str(error)
        return SoundFileError(f"{self.path}: cannot be written: {why}")


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
