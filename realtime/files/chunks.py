"""Containers of chunks (RIFF, RF64, BW64, W64, AIFF, CAF) and the headers of AU and NIST: what they announce.

libsndfile takes the end of a cut file for the end of its sound, and refuses some lengths that programs leave in the
header of what they write to a pipe, because they cannot know better. Here lengths are compared with the file's size,
and those that announce nothing are replaced by what is there.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from gramophone.realtime.files.segments import Link, Piece, SoundFileError


@dataclass(frozen=True)
class ChunkFormat:
    """How a container stores its chunks: where the first lies and how names and lengths are written."""

    first: int
    name_bytes: int
    length: str
    """`struct` format of a length."""
    length_includes_header: bool
    align: int
    sound: bytes
    """How the name of the chunk that holds the sound begins."""

    @property
    def header_bytes(self) -> int:
        """Size of a chunk's name and length."""
        return self.name_bytes + struct.calcsize(self.length)


_RIFF = ChunkFormat(12, 4, "<I", False, 2, b"data")
_FORM = ChunkFormat(12, 4, ">I", False, 2, b"SSND")
FORMATS: dict[bytes, ChunkFormat] = {
    b"RIFF": _RIFF,
    b"RIFX": ChunkFormat(12, 4, ">I", False, 2, b"data"),
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"FORM": _FORM,
    b"riff": ChunkFormat(40, 16, "<Q", True, 8, b"data"),
    b"caff": ChunkFormat(8, 4, ">q", False, 1, b"data"),
}
"""Containers by their first four bytes."""


_GSM, _MPEG = b"\x31\0", (b"\x50\0", b"\x55\0")
"""Codes of what a WAV holds in place of samples."""
_GSM_BLOCK_BYTES, _GSM_BLOCK_FRAMES = 65, 320
_MOST_CHUNKS = 10_000
"""More than any file has: what seem to be more are samples, behind a length that is none."""


@dataclass(frozen=True)
class Chunk:
    """A chunk: its name, where its content starts, how long the content is announced to be, in bytes."""

    name: bytes
    start: int
    length: int


def read_chunks(file: BinaryIO, size: int, form: ChunkFormat, start: int = 0) -> Iterator[Chunk]:
    """Yield the chunks of a container that begins at byte `start`, as far as their lengths lead."""
    at = start + form.first
    for _ in range(_MOST_CHUNKS):
        if at + form.header_bytes > size:
            return
        file.seek(at)
        header = file.read(form.header_bytes)
        if len(header) < form.header_bytes:
            return
        (length,) = struct.unpack(form.length, header[form.name_bytes :])
        if form.length_includes_header:
            length -= form.header_bytes
        chunk = Chunk(header[: form.name_bytes], at + form.header_bytes, length)
        yield chunk
        if length < 0:
            return
        at = chunk.start + length + -length % form.align


def survey_chunks(file: BinaryIO, start: int, size: int) -> tuple[Link, range | None]:
    """Return what libsndfile is to read of a container of chunks at byte `start` of a file of `size` bytes.

    Beside it the bytes that hold MPEG frames, where a WAV holds such.

    Raises:
        SoundFileError: it holds less sound than it announces.
    """
    file.seek(start)
    magic = file.read(4)
    form = FORMATS[magic]
    description, fact, sound, announced = b"", b"", None, 0
    rf64_length = None
    for chunk in read_chunks(file, size, form, start):
        if chunk.name == b"ds64":
            file.seek(chunk.start)
            content = file.read(24)
            rf64_length = struct.unpack("<Q", content[8:16])[0] if len(content) >= 16 else None
        elif chunk.name[:4] in (b"fmt ", b"COMM", b"desc"):
            file.seek(chunk.start)
            description = file.read(min(max(chunk.length, 0), 64))
        elif chunk.name == b"fact":  # in a W64 libsndfile writes no count there
            file.seek(chunk.start)
            fact = file.read(4)
        elif chunk.name.startswith(form.sound) and sound is None:
            sound, announced = chunk, chunk.length
            if magic in (b"RF64", b"BW64") and chunk.length == 0xFFFFFFFF and rf64_length is not None:
                announced = rf64_length
                break  # the chunks behind lie where the long length says
    if sound is None:
        return Link((range(start, size),)), None
    there = size - sound.start
    if _announces(announced, form, file, start, size, sound):
        if announced > there:
            raise missing_bytes(announced - there, announced)
        pieces, end = _with_magic(magic, start, size), sound.start + announced
    else:
        pieces, end = _with_length(magic, form, file, start, size, sound, description), size
    code = description[:2] if magic in (b"RIFF", b"RF64", b"BW64", b"riff") else b""
    frames = _gsm_frames(end - sound.start, fact) if code == _GSM else None
    return Link(pieces, frames), range(sound.start, end) if code in _MPEG else None


def _gsm_frames(length: int, fact: bytes) -> int:
    """Return how many frames of sound `length` bytes of GSM 6.10 are, without what the chunk `fact` leaves of the last.

    libsndfile takes the byte that pads a chunk to an even length for one more block.
    """
    frames, announced = length // _GSM_BLOCK_BYTES * _GSM_BLOCK_FRAMES, int.from_bytes(fact, "little")
    return announced if frames - _GSM_BLOCK_FRAMES < announced <= frames else frames


def survey_au(file: BinaryIO, start: int, size: int) -> Link:
    """Return what libsndfile is to read of an AU file.

    Raises:
        SoundFileError: it holds less sound than it announces.
    """
    file.seek(start)
    header = file.read(12)
    if len(header) == 12:
        order = ">" if header[:4] == b".snd" else "<"
        offset, length = struct.unpack(f"{order}II", header[4:])
        there = size - start - offset
        if not _is_open(length, 4) and length > there:
            raise missing_bytes(length - max(there, 0), length)
        if length == 0 < there:
            return Link((header[:8], b"\xff" * 4, range(start + 12, size)))
    return Link((range(start, size),))


def survey_nist(file: BinaryIO, start: int, size: int) -> Link:
    """Return what libsndfile is to read of a NIST SPHERE file.

    Raises:
        SoundFileError: it holds less sound than it announces.
    """
    file.seek(start)
    text = file.read(4096).decode("latin-1")
    fields = dict(re.findall(r"^(\w+) -i (\d{1,15})\b", text, re.MULTILINE))
    header = re.match(r"NIST_1A\n\s*(\d{1,9})\n", text)
    try:
        length = int(fields["sample_count"]) * int(fields["channel_count"]) * int(fields["sample_n_bytes"])
    except KeyError:
        length = 0
    there = size - start - (int(header[1]) if header else 0)
    if length > there:
        raise missing_bytes(length - max(there, 0), length)
    return Link((range(start, size),))


def missing_bytes(missing: int, announced: int) -> SoundFileError:
    """Return the refusal of a file that ends `missing` bytes before its `announced` bytes of sound do."""
    return SoundFileError(
        f"cut short: {missing} of {announced} bytes of its sound are missing ({missing / announced:.0%}); "
        "export or copy it again"
    )


def _announces(length: int, form: ChunkFormat, file: BinaryIO, start: int, size: int, sound: Chunk) -> bool:
    """Whether a sound chunk's length is one, not what stands there because the writer could not know it."""
    if length > (8 if form is _FORM else 0):
        return not _is_open(length, struct.calcsize(form.length))
    if form.length_includes_header:
        return length == 0
    if length < 0 or not _is_followed_by_chunks(form, file, sound, size):
        return False
    if form.first == 8:
        return True
    # An empty chunk in a container of the right size is empty; with a container of no size, neither was filled in.
    file.seek(start + 4)
    (container,) = struct.unpack(form.length, file.read(4))
    return container not in (0, 0xFFFFFFFF) and container + 8 >= size - start - 1


def _is_followed_by_chunks(form: ChunkFormat, file: BinaryIO, sound: Chunk, size: int) -> bool:
    """Whether what stands behind an empty sound chunk is other chunks, or nothing, to the end; not samples."""
    end = sound.start + sound.length
    for chunk in read_chunks(file, size, replace(form, first=0), end):
        if not all(0x20 <= byte < 0x7F for byte in chunk.name) or chunk.length < 0:
            return False
        end = chunk.start + chunk.length + -chunk.length % form.align
    return abs(end - size) <= form.align


def _is_open(length: int, width: int) -> bool:
    """Whether a length of `width` bytes is one of those that programs write into a pipe: the largest, or nearly.

    sox, espeak-ng: 0x7FFFF000; oggdec, arecord: around 0x7FFFFFFF; ffmpeg: 0xFFFFFFFF; sox's AIFF: 0x7F000000.
    """
    if width == 8:
        return length < 0 or length >= 1 << 60
    return 0x7EFF0000 <= length <= 0x7F010000 or 0x7FFF0000 <= length <= 0x80010000 or length >= 0xFFFF0000


def _with_magic(magic: bytes, start: int, size: int) -> tuple[Piece, ...]:
    # BW64 (ITU-R BS.2088) is RF64 under another name, which libsndfile does not know.
    return (b"RF64", range(start + 4, size)) if magic == b"BW64" else (range(start, size),)


def _with_length(
    magic: bytes, form: ChunkFormat, file: BinaryIO, start: int, size: int, sound: Chunk, description: bytes
) -> tuple[Piece, ...]:
    """Return the container with the length of its sound chunk, and what follows from it, as the file has it."""
    there = size - sound.start
    width = struct.calcsize(form.length)
    header = bytearray()
    file.seek(start)
    header += file.read(sound.start - start)
    at = sound.start - start - width
    if magic in (b"RF64", b"BW64"):
        header[:4] = b"RF64"
        ds64 = header.find(b"ds64")
        if 0 <= ds64 <= len(header) - 36:
            struct.pack_into("<QQ", header, ds64 + 8, size - start - 8, there)
        struct.pack_into("<I", header, at, 0xFFFFFFFF)
    elif form is _FORM:
        channels, _, bits = struct.unpack(">hIh", description[:8]) if len(description) >= 8 else (0, 0, 0)
        frame = channels * ((bits + 7) // 8)
        struct.pack_into(">I", header, at, min(there, 0x7FFFFFFF))
        struct.pack_into(">I", header, 4, min(size - start - 8, 0xFFFFFFFF))
        common = header.find(b"COMM")
        if frame > 0 and 0 <= common <= len(header) - 14:
            struct.pack_into(">I", header, common + 10, min((there - 8) // frame, 0xFFFFFFFF))
    elif form.length_includes_header:
        struct.pack_into("<Q", header, at, there + form.header_bytes)
    elif width == 8:
        struct.pack_into(">q", header, at, there)
    elif there >= 0xFFFFFFFF:
        struct.pack_into(form.length, header, at, 0xFFFFFFFF)
        lengths = struct.pack("<IQQQI", 28, size - start + 28, there, 0, 0)
        header[:12] = b"RF64\xff\xff\xff\xffWAVEds64" + lengths
    else:
        struct.pack_into(form.length, header, at, there)
        struct.pack_into(form.length, header, 4, min(size - start - 8, 0xFFFFFFFF))
    return bytes(header), range(sound.start, size)
