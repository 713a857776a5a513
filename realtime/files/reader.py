"""Reading sound files block by block: one decoder from start to end, which never seeks.

What a sound file holds, by its bytes: the stretches that a decoder is to read, checked against its size.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile

from gramophone.realtime.files import chunks, mpeg, ogg
from gramophone.realtime.files.metadata import Metadata, read_metadata
from gramophone.realtime.files.ogg import to_wav
from gramophone.realtime.files.segments import Link, Segments, SoundFileError, publish_remarks, reason
from gramophone.realtime.stage import Audio
from gramophone.realtime.system.interrupts import interrupts

READABLE = ("WAV", "AIFF", "FLAC", "Ogg (Vorbis, Opus)", "MP3", "RF64", "W64", "CAF", "AU", "NIST")
"""What can be read, by its bytes and whatever its name's ending."""
READABLE_ENDINGS = (
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".aiff", ".aif", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3",
    ".caf", ".au", ".snd", ".nist", ".sph",
)  # fmt: skip
"""The endings of names by which such files are found in a folder."""
OTHER_ENDINGS = (
    ".m4a", ".m4b", ".aac", ".mp4", ".mp2", ".mka", ".webm", ".weba", ".wma", ".asf", ".wv", ".ape", ".tta", ".tak",
    ".ac3", ".eac3", ".dts", ".dsf", ".dff", ".mpc", ".amr", ".voc", ".ra",
)  # fmt: skip
"""The endings of sound files that cannot be read, which are named where they lie among others."""

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
            link, announced = ogg.survey_flac(file, start, end)
            return [link], announced
        if magic == b"OggS":
            return ogg.survey_ogg(data, start, end), 0
        frame = mpeg.find_frame(data, start, end)
        if frame >= 0:
            return [mpeg.survey_mpeg(data, frame, end)], 0
    raise SoundFileError(_unreadable())


def _unreadable(why: str = "") -> str:
    return (
        f"not a sound file that can be read{why}; expected {', '.join(READABLE)}, in a common encoding; "
        "`ffmpeg -i IN OUT.wav` converts what it can play"
    )


def _survey_chunks(file: BinaryIO, data: mmap, start: int, size: int) -> Link:
    link, mpeg_sound = chunks.survey_chunks(file, start, size)
    if not mpeg_sound:
        return link
    frame = mpeg.find_frame(data, mpeg_sound.start, mpeg_sound.stop)
    if frame < 0:
        raise SoundFileError("a WAV for MPEG frames without any in it")
    return mpeg.survey_mpeg(data, frame, mpeg_sound.stop)


_FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3", "NIST"}
"""What libsndfile calls the formats whose lengths are checked here."""
_CHUNK = 1 << 16


class AudioReader:
    """An open sound file: `rate` in Hz, `channels`, and `frames`, exactly as many as can be read.

    `subtype` is how its samples are stored, in libsndfile's words, such as PCM_24. At the end of the `with` block
    `remarks` are published, if anything was read.

    Raises:
        SoundFileError: the file is missing, not a sound file, empty, damaged, or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_regular(path)
        try:
            self._links, self._announced = survey(self._file)
            self._decoder = self._open(0)
            self.rate: int = self._decoder.sound.samplerate
            self.channels: int = self._decoder.sound.channels
            self.subtype: str = self._decoder.sound.subtype
            self._order = to_wav(self.channels) if self._decoder.sound.format == "OGG" else None
            self.frames: int = sum(self._length(index) for index in range(len(self._links)))
        except SoundFileError as error:
            self._file.close()
            raise SoundFileError(f"{path}: {error}") from None
        except OSError as error:
            self._file.close()
            raise SoundFileError(f"{path}: cannot be read: {reason(error)}") from None
        if not self.frames:
            self._file.close()
            raise SoundFileError(f"{path}: no sound in it (0 frames)")
        self._done = self._failures = 0
        self._failed_s = 0.0

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be known about the file as far as it was read, in words."""
        remarks = [link.remark for link in self._links if link.remark]
        if self._failures:
            times = "once" if self._failures == 1 else f"{self._failures} times"
            remarks.append(f"damaged: its decoder failed {times}, first near {self._failed_s:.1f} s")
        return tuple(remarks)

    def read(self, frames: int) -> Audio:
        """Return the next sound, `(channels, frames)`, fewer frames only at the end of the file.

        Raises:
            SoundFileError: the file ends before its announced length, or goes on behind it.
        """
        wanted = min(frames, self.frames - self._done)
        block = np.empty((wanted, self.channels), np.float32)
        filled = 0
        while filled < wanted:
            try:
                count = self._decoder.read_into(block[filled:])
            except SoundFileError as error:
                raise self._cut_short(self._done + filled, str(error)) from None
            if failures := self._decoder.take_failures():
                self._failed_s = self._failed_s or (self._done + filled) / self.rate
                self._failures += failures
            filled += count
            if not count and not self._next_link():
                raise self._cut_short(self._done + filled, "the data end")
        self._done += wanted
        if self._announced and self._done == self.frames and frames:
            self._check_end()
        return np.ascontiguousarray(block.T if self._order is None else block.T[self._order])

    def blocks(self, size: int) -> Iterator[Audio]:
        """Yield the sound as `(channels, size)` blocks, the last one shorter.

        Raises:
            SoundFileError: as `read`.
        """
        while self._done < self.frames:
            yield self.read(size)

    @property
    def metadata(self) -> Metadata:
        """What the file holds beside its samples."""
        return read_metadata(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.sound.close()
        self._file.close()
        if self._done:
            publish_remarks((str(self.path), remark) for remark in self.remarks)

    def _open(self, index: int) -> _Decoder:
        self._index = index
        return _Decoder(Segments(self._file, self._links[index].pieces), self._links[index])

    def _length(self, index: int) -> int:
        """Return how many frames a link yields."""
        link = self._links[index]
        decoder = self._decoder if index == 0 else _Decoder(Segments(self._file, link.pieces), link)
        sound = decoder.sound
        if (sound.samplerate, sound.channels) != (self.rate, self.channels):
            raise SoundFileError(
                f"part {index + 1} has {sound.samplerate} Hz and {sound.channels} channels, the first {self.rate} Hz "
                f"and {self.channels}; take them apart first"
            )
        if link.frames is None:
            return int(sound.frames)
        return link.frames if link.frames >= 0 else _count(Segments(self._file, link.pieces), link)

    def _next_link(self) -> bool:
        if self._index + 1 == len(self._links):
            return False
        self._decoder.sound.close()
        self._decoder = self._open(self._index + 1)
        return True

    def _check_end(self) -> None:
        """Refuse a FLAC that goes on: its decoder, unlike others, was not told where to stop."""
        try:
            more = self._decoder.read_into(np.empty((1, self.channels), np.float32))
        except SoundFileError as error:
            raise self._cut_short(self._done, str(error)) from None
        if more:
            raise SoundFileError(
                f"{self.path}: holds more than the {self._announced} frames it announces; are several files joined?"
            )

    def _cut_short(self, found: int, why: str) -> SoundFileError:
        missing = self.frames - found
        return SoundFileError(
            f"{self.path}: cut short or damaged: {found / self.rate:.2f} s of {self.frames / self.rate:.2f} s can be "
            f"read, {missing / self.rate:.2f} s are missing ({why.rstrip('.')}); export or copy it again"
        )


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read from start to end. soundfile seeks around each read of one that it takes for seekable.

    A decoder of MP3 or Ogg that seeks loses what it overlaps with the frames before: holes.
    """

    def seekable(self) -> bool:
        """Return False, so that no read seeks."""
        return False


class _Decoder:
    """libsndfile reading a link."""

    def __init__(self, view: Segments, link: Link) -> None:
        self._view = view
        self._skip = link.skip
        self._failures = 0
        try:
            with interrupts, mpeg.decoder_messages():
                self.sound = _Sequential(view)
        except (soundfile.LibsndfileError, TypeError) as error:
            if view.error:
                raise view.error from None
            why = getattr(error, "error_string", str(error)).rstrip(".")
            raise SoundFileError(_unreadable(f" ({why})")) from None
        if self.sound.format not in _FORMATS:
            raise SoundFileError(f"a {self.sound.format} file; expected {', '.join(READABLE)}")
        self._messages = mpeg.decoder_messages() if self.sound.format == "MP3" else None

    def read_into(self, block: np.ndarray) -> int:
        """Fill `block`, `(frames, channels)`, from its start; returns how many frames there were, 0 at the end.

        Raises:
            SoundFileError: it cannot be decoded.
        """
        while self._skip:
            skipped = self._read(np.empty((min(self._skip, _CHUNK), self.sound.channels), np.float32))
            if not skipped:
                return 0
            self._skip -= skipped
        return self._read(block)

    def take_failures(self) -> int:
        """Return how often the decoder failed and went on since this was called last."""
        failures, self._failures = self._failures, 0
        return failures

    def _read(self, block: np.ndarray) -> int:
        try:
            with interrupts, self._messages or nullcontext():
                count = len(self.sound.read(len(block), out=block))
            self._failures += self._messages.failures if self._messages else 0
        except soundfile.LibsndfileError as error:
            raise SoundFileError(error.error_string) from None
        if self._view.error:
            raise SoundFileError(reason(self._view.error))
        return count


def _count(view: Segments, link: Link) -> int:
    """Return how many frames there are, by decoding them.

    Raises:
        SoundFileError: they cannot be decoded to the end.
    """
    decoder = _Decoder(view, link)
    scratch = np.empty((_CHUNK, decoder.sound.channels), np.float32)
    total = 0
    try:
        while count := decoder.read_into(scratch):
            total += count
    except SoundFileError as error:
        seconds = total / decoder.sound.samplerate
        raise SoundFileError(
            f"cut short or damaged after {seconds:.2f} s ({str(error).rstrip('.')}); export or copy it again"
        ) from None
    finally:
        decoder.sound.close()
    return total


def read(path: Path, seconds: float | None = None) -> tuple[Audio, int]:
    """Return a whole file, or its first `seconds`, as `(channels, frames)` and its rate in Hz.

    Raises:
        SoundFileError: as `AudioReader`.
    """
    with AudioReader(path) as reader:
        frames = reader.frames if seconds is None else max(round(seconds * reader.rate), 1)
        return reader.read(frames), reader.rate


def finite_sound(path: str | Path, sound: Audio) -> Audio:
    """Return what was read of a file with silence for NaN and infinity; how many there are is published."""
    if broken := int(np.count_nonzero(~np.isfinite(sound))):
        publish_remarks([(str(path), f"{broken} samples were NaN or infinite and were taken as silence")])
        return np.nan_to_num(sound, nan=0.0, posinf=0.0, neginf=0.0)
    return sound
