"""Writing sound files: whole under their name, or not at all.

Writing WAV, as 32-bit float or in whole numbers, RF64 (EBU Tech 3306) beyond 4 GB, with the chunks that players and
editors need.
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
from numpy.typing import NDArray

from gramophone.presets.atomic import create_part, publish
from gramophone.realtime.files.metadata import Metadata
from gramophone.realtime.files.ogg import from_wav
from gramophone.realtime.files.segments import OutputFile, SoundFileError, publish_remarks, reason
from gramophone.realtime.files.tagging import append_aiff_chunks, flac_blocks, id3_tag, insert_flac_blocks, riff_chunks
from gramophone.realtime.stage import Audio, as_audio, of_floats
from gramophone.realtime.system.interrupts import interrupts

_LIMIT = 0xFFFFFFFF
_WHOLE, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_END = bytes.fromhex("00001000800000aa00389b71")
_FLOAT_TYPE = "FLOAT"
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, _FLOAT_TYPE: 32}
"""Bits of a sample by libsndfile's name of its type."""
_MOST_DITHERED_BITS = 16


class Rounding:
    """Rounds samples to whole numbers of so many bits, up to 16 with triangular dither of two steps from peak to peak.

    So the error is a steady noise and no distortion (Lipshitz, Wannamaker and Vanderkooy 1992). A sample that is a
    whole number already stays, so silence stays silent. The noise depends on nothing but the number of the sample.
    """

    def __init__(self, bits: int) -> None:
        self.full = 2.0 ** (bits - 1)
        """What full scale is as a whole number."""
        self._noise = np.random.default_rng(0) if bits <= _MOST_DITHERED_BITS else None

    def __call__(self, block: Audio) -> NDArray[np.float64]:
        """Return samples `(channels, frames)` of -1 to 1 as whole numbers, `(frames, channels)`, clipped."""
        exact = block.T.astype(np.float64) * self.full
        whole = np.rint(exact)
        if self._noise:
            dithered = np.rint(exact + self._noise.random((*exact.shape, 2)).sum(2) - 1)
            whole = np.where(whole == exact, whole, dithered)
        return np.clip(whole, -self.full, self.full - 1)


class WavWriter:
    """A WAV being written to `file` at `rate` Hz: its header now, sound block by block, lengths when it is closed.

    `subtype` is how samples are stored, in libsndfile's words: FLOAT, or PCM_U8, PCM_16, PCM_24 and PCM_32. `chunks`
    are names and contents that stand before the sound; `channel_mask` numbers the speakers, 0: not said. Where it
    `may_be_long`, room is left to make it an RF64.
    """

    def __init__(
        self,
        file: OutputFile,
        rate: int,
        channels: int,
        chunks: Sequence[tuple[bytes, bytes]] = (),
        channel_mask: int = 0,
        may_be_long: bool = True,
        subtype: str = _FLOAT_TYPE,
    ) -> None:
        self._file = file
        self._channels = channels
        self._bits = _BITS[subtype]
        self._round = None if subtype == _FLOAT_TYPE else Rounding(self._bits)
        self.frames = 0
        frame = channels * self._bits // 8
        code = _WHOLE if self._round else _FLOAT
        kind = _EXTENSIBLE if channel_mask else code
        form = struct.pack("<HHIIHH", kind, channels, rate, rate * frame & _LIMIT, frame, self._bits)
        if channel_mask:
            form += struct.pack("<HHII", 22, self._bits, channel_mask, code) + _GUID_END
        elif code == _FLOAT:
            form += bytes(2)
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
        self._file.write(np.ascontiguousarray(self._stored(block)).data)
        self.frames += block.shape[1]

    def close(self) -> None:
        """Write the lengths."""
        size = self.frames * self._channels * self._bits // 8
        if size % 2:
            self._file.write(b"\0")
        riff = self._start + size + size % 2 - 8
        if riff > _LIMIT:
            ds64 = b"ds64" + struct.pack("<IQQQI", 28, riff, size, self.frames, 0)
            self._put(0, b"RF64" + struct.pack("<I", _LIMIT) + b"WAVE" + ds64)
        else:
            self._put(4, struct.pack("<I", riff))
        self._put(self._fact, struct.pack("<I", min(self.frames, _LIMIT)))
        self._put(self._start - 4, struct.pack("<I", _LIMIT if riff > _LIMIT else size))

    def _stored(self, block: Audio) -> NDArray[Any]:
        """Return a block as the bytes of the file."""
        if not self._round:
            frames = np.empty((block.shape[1], self._channels), "<f4")
            for channel, sound in enumerate(block):  # a fifth of the time of copying `block.T`
                frames[:, channel] = sound
            return frames
        whole = self._round(block)
        if self._bits == 8:
            return (whole + 128).astype("u1")
        if self._bits == 24:
            return whole.astype("<i4")[..., None].view("u1")[..., :3]
        return whole.astype(f"<i{self._bits // 8}")

    def _put(self, at: int, content: bytes) -> None:
        self._file.seek(at)
        self._file.write(content)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


FORMATS = {
    ".wav": ("WAV", _FLOAT_TYPE),
    ".flac": ("FLAC", "PCM_24"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".aiff": ("AIFF", _FLOAT_TYPE),
    ".aif": ("AIFF", _FLOAT_TYPE),
}
"""libsndfile's format by a file name's ending, and the sample type that is written: the finest in common use."""
EXTENSIONS = tuple(FORMATS)
_HELD = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", _FLOAT_TYPE),
    "AIFF": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", _FLOAT_TYPE),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
}
"""The sample types of an input that a format keeps."""
_QUALITY: dict[str, dict[str, Any]] = {
    "MP3": {"compression_level": 0.0, "bitrate_mode": "VARIABLE"},
    "OGG": {"compression_level": 0.1},
}
"""LAME's V0 and Vorbis' 9: libsndfile's own choice is about 90 kbit/s."""
_WAV_LIMIT_BYTES = 4_000_000_000
_LIMITS = {
    "WAV": (1024, 2**31 - 1),
    "FLAC": (8, 655_350),
    "MP3": (2, 48_000),
    "OGG": (255, 200_000),
    "AIFF": (1024, 2**31 - 1),
}
"""The most channels and the highest rate in Hz of each format. Beyond them libvorbis ends the process (SIGSEGV)."""
_LOUDEST_CODED = 8.0
"""What MP3 and Vorbis still hold beyond full scale (+18 dBFS): louder samples come back garbled, or as silence."""
_NEVER_EMPTY = {"FLAC", "MP3"}
"""Formats of which libsndfile writes nothing at all where there is no sound."""
_FAMILIES = {"WAV": "RIFF", "FLAC": "FLAC", "MP3": "MP3", "OGG": "OGG", "AIFF": "AIFF"}
"""Which metadata a format holds (`Metadata.family`)."""


class AudioWriter:
    """A sound file being written: it appears under its name when the `with` block ends well, else not at all.

    The name's ending decides the format; WAV is 32-bit float, so that nothing clips, and RF64 beyond 4 GB. `like` is
    the sample type of another file, in libsndfile's words, to be taken in place of the finest. `clipped` counts the
    samples written beyond full scale to a format that cannot hold them, `non_finite` those that were NaN or infinite.
    `metadata` is kept as far as the format allows. `remarks` are published at the end of the `with` block.
    At most `frames` are to come, or any number if 0.

    Raises:
        SoundFileError: the format does not take this rate (Hz) or number of channels, or the folder or disk cannot be
            written.
    """

    def __init__(
        self,
        path: Path,
        rate: int,
        channels: int,
        frames: int = 0,
        metadata: Metadata | None = None,
        like: str = "",
    ) -> None:
        self.path = path
        self.clipped = self.non_finite = 0
        self._is_empty = True
        self._metadata = metadata or Metadata()
        self._channels = channels
        if path.suffix.lower() not in FORMATS:
            raise SoundFileError(f"{path}: cannot write {path.suffix!r}; expected {', '.join(EXTENSIONS)}")
        self._format, self._subtype = FORMATS[path.suffix.lower()]
        if like:
            self._subtype = kept_type(self._format, self._subtype, like)
        # A WAV does this itself, and of more bits libsndfile does it as well.
        is_rounded = self._format != "WAV" and _BITS.get(self._subtype, 32) <= _MOST_DITHERED_BITS
        self._round = Rounding(_BITS[self._subtype]) if is_rounded else None
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
                self._sound = self._start(rate, channels, frames)
        except (soundfile.LibsndfileError, ValueError, struct.error) as error:
            self._file.close()
            self._clear()
            raise self._failure(error, f"{self._format} at {rate} Hz with {channels} channels") from None

    def write(self, block: Audio) -> None:
        """Append a block, `(channels, frames)`; NaN and infinity as silence.

        Raises:
            SoundFileError: the disk is full or gone.
            ValueError: it has another form or number of channels, or is not of floating-point numbers.
        """
        block = as_audio(of_floats(block))
        if len(block) != self._channels:
            raise ValueError(f"audio of shape {block.shape}: expected ({self._channels}, frames)")
        if not block.size:
            return
        self._is_empty = False
        if broken := block.size - int(np.count_nonzero(np.isfinite(block))):
            self.non_finite += broken
            np.nan_to_num(block, copy=False, posinf=0.0, neginf=0.0)
        if self._subtype != _FLOAT_TYPE:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1.0))
            np.clip(block, -_LOUDEST_CODED, _LOUDEST_CODED, out=block)
        if self._format == "OGG":
            block = from_wav(block)
        elif self._round:
            block = (self._round(block) / self._round.full).T.astype(np.float32)
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
        if self.non_finite:
            remarks.append(f"{self.non_finite} samples were NaN or infinite and were taken as silence")
        if self.clipped:
            remarks.append(
                f"{self.clipped} samples beyond full scale were clipped by the format; a WAV of floats keeps them"
            )
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
                publish_remarks((str(self.path), remark) for remark in self.remarks)
        except OSError as failure:
            raise self._failure(failure) from None
        finally:
            self._file.close()
            self._clear()

    def _start(self, rate: int, channels: int, frames: int) -> Any:
        """Open the encoder, behind what comes before it in the file."""
        data = self._metadata
        if self._format == "WAV":
            may_be_long = not frames or frames * channels * 4 > _WAV_LIMIT_BYTES
            chunks = riff_chunks(data)
            return WavWriter(self._file, rate, channels, chunks, data.channel_mask, may_be_long, self._subtype)
        if self._format == "MP3":
            self._front = id3_tag(data)
        elif self._format == "FLAC":
            self._front = flac_blocks(data)
        self._file.write(self._front)
        self._file.start = len(self._front)
        quality = _QUALITY.get(self._format, {})
        sound = soundfile.SoundFile(self._file, "w", rate, channels, self._subtype, format=self._format, **quality)
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
        if self._is_empty and self._format in _NEVER_EMPTY:
            raise OSError(f"no sound was written (0 frames), and {self._format} cannot be without any")
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


def kept_type(form: str, finest: str, like: str) -> str:
    """Return the sample type in which a format keeps samples that are stored as `like`; `finest` is its own best.

    What is stored with loss in a WAV or AIFF (A-law, GSM, ADPCM) becomes 16 bits.
    """
    held = _HELD.get(form, ())
    if like in held:
        return like
    return "PCM_16" if "PCM_16" in held and not like.startswith(("PCM_", _FLOAT_TYPE, "DOUBLE")) else finest


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
