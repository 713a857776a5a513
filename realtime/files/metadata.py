"""What a sound file holds beside its samples: tags, broadcast header, markers, loops, speakers, pictures.

What the container of the result is able to hold is copied byte for byte, for nothing in it depends on the samples'
values; tags go from any container to any other; the rest is named as lost.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import soundfile

from gramophone.realtime.files.chunks import FORMATS, read_chunks
from gramophone.realtime.files.segments import Segments
from gramophone.realtime.system.interrupts import interrupts

TAGS = {
    "title": (b"INAM", b"TIT2"),
    "artist": (b"IART", b"TPE1"),
    "album": (b"IPRD", b"TALB"),
    "date": (b"ICRD", b"TDRC"),
    "tracknumber": (b"ITRK", b"TRCK"),
    "genre": (b"IGNR", b"TCON"),
    "comment": (b"ICMT", b"COMM"),
    "copyright": (b"ICOP", b"TCOP"),
    "license": (b"ILIC", b"WCOP"),
}
"""What libsndfile calls the tags that every container holds, and what a RIFF INFO list and ID3 call them."""
_RIFF_KEPT = {
    b"bext": "the broadcast header with its time reference",
    b"cue ": "cue points",
    b"smpl": "loop points",
    b"inst": "the instrument's range",
    b"acid": "tempo and key",
    b"plst": "the play list",
    b"iXML": "iXML",
    b"axml": "axml",
    b"cart": "the cart chunk",
    b"id3 ": "an ID3 tag",
    b"ID3 ": "an ID3 tag",
    b"chna": "the ADM channels",
}
_AIFF_KEPT = {
    b"MARK": "markers",
    b"INST": "loop points",
    b"COMT": "comments on markers",
    b"ID3 ": "an ID3 tag",
    b"MIDI": "MIDI data",
    b"AESD": "AES channel status",
    b"basc": "tempo and key",
}
_CAF_LOST = {b"mark": "markers", b"regn": "regions", b"inst": "loop points", b"chan": "the speaker layout"}
_FLAC_KEPT = {2: "foreign metadata", 5: "the cue sheet", 6: "a picture"}
_LARGEST = 64 << 20
"""Bytes of a chunk that is copied: beyond, a length is more likely wrong than true."""
_FLAC_SPEAKERS = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""FLAC's channels in WAV's numbering of speakers (RFC 9639, 9.1.3)."""


@dataclass(frozen=True)
class Block:
    """A piece of metadata as its container stores it: its name there, its bytes, and what people call it."""

    name: bytes
    content: bytes
    meaning: str


@dataclass(frozen=True)
class Metadata:
    """Tags by libsndfile's names; blocks of one container's `family`; the channels' speakers as WAV numbers them."""

    tags: Mapping[str, str] = field(default_factory=dict)
    software: str = ""
    family: str = ""
    """RIFF, AIFF, CAF, FLAC, OGG or MP3."""
    blocks: tuple[Block, ...] = ()
    channel_mask: int = 0
    unknown_tags: tuple[str, ...] = ()
    """Names of tags that only their own container knows."""

    def made_by(self, software: str) -> Metadata:
        """Return the same with another name for what wrote the file."""
        return replace(self, software=software)

    def lost_in(self, family: str, channels: int) -> tuple[str, ...]:
        """Return what a file of another family cannot keep, in words."""
        lost = [block.meaning for block in self.blocks if block.meaning and family != self.family]
        if family not in ("RIFF", "FLAC") and self.channel_mask and channels > 2:
            lost.append("the speaker mask")
        if (
            family == "FLAC"
            and self.channel_mask
            and channels > 2
            and _FLAC_SPEAKERS.get(channels) != self.channel_mask
        ):
            lost.append("the speaker mask")
        if not (family == self.family and family in ("FLAC", "MP3")):
            lost += [f"the tag {name}" for name in self.unknown_tags]
        if family in ("AIFF", "RIFF", "MP3"):
            kept = {"AIFF": ("title", "artist", "comment", "copyright")}.get(family, tuple(TAGS))
            lost += [f"the tag {name}" for name in self.tags if name not in kept]
        return tuple(dict.fromkeys(lost))


def read_metadata(file: BinaryIO) -> Metadata:
    """Return what an open sound file holds beside its samples, as far as it is understood."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    strings, channels = _strings(file, size)
    tags = {name: strings[name] for name in TAGS if strings.get(name)}
    software = strings.get("software", "")
    if head[:4] in FORMATS:
        return _of_chunks(file, size, head, tags, software)
    if head[:4] == b"fLaC":
        return _of_flac(file, tags, software, channels)
    if head[:4] == b"OggS":
        file.seek(0)
        return Metadata(tags, software, "OGG", unknown_tags=_unknown_comments(_ogg_comments(file.read(1 << 16))))
    if head[:3] == b"ID3":
        return _of_id3(file, tags, software)
    return Metadata(tags, software, "MP3" if head[:1] == b"\xff" else "")


def _strings(file: BinaryIO, size: int) -> tuple[dict[str, str], int]:
    try:
        with interrupts, soundfile.SoundFile(Segments(file, [range(size)])) as sound:
            return sound.copy_metadata(), sound.channels
    except (soundfile.LibsndfileError, TypeError, UnicodeDecodeError):
        return {}, 0


def _of_chunks(file: BinaryIO, size: int, head: bytes, tags: Mapping[str, str], software: str) -> Metadata:
    magic = head[:4]
    family = {b"FORM": "AIFF", b"caff": "CAF"}.get(magic, "RIFF")
    meanings = {"AIFF": _AIFF_KEPT, "CAF": _CAF_LOST, "RIFF": _RIFF_KEPT}[family]
    blocks, mask, unknown = [], 0, []
    for chunk in read_chunks(file, size, FORMATS[magic]):
        name, length = chunk.name[:4], chunk.length
        if not 0 <= length <= min(_LARGEST, size - chunk.start):
            continue
        file.seek(chunk.start)
        if name == b"fmt " and length >= 40:
            mask = _channel_mask(file.read(40), magic)
        elif name in meanings:
            blocks.append(Block(name, file.read(length), meanings[name]))
        elif name == b"LIST" and family == "RIFF":
            content = file.read(length)
            if content[:4] == b"adtl":
                blocks.append(Block(name, content, "names of cue points"))
            elif content[:4] == b"INFO":
                unknown += [item.decode("latin-1") for item, _ in info_items(content) if item not in _INFO_KNOWN]
                if magic == b"RIFF":
                    blocks.append(Block(name, content, ""))
    info = [block for block in blocks if not block.meaning]
    if magic == b"RIFX":  # its chunks count in the other byte order
        blocks, family = [block for block in blocks if block.name != b"LIST"], "RIFX"
    named = tuple(block for block in blocks if block.meaning)
    return Metadata(tags, software, family, (*named, *info) if family == "RIFF" else named, mask, tuple(unknown))


_INFO_KNOWN = {riff for riff, _ in TAGS.values()} | {b"ISFT", b"IPRT"}


def _channel_mask(content: bytes, magic: bytes) -> int:
    order = ">" if magic == b"RIFX" else "<"
    (kind,) = struct.unpack(f"{order}H", content[:2])
    return int(struct.unpack(f"{order}I", content[20:24])[0]) if kind == 0xFFFE else 0


def info_items(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and texts of a RIFF INFO list."""
    at = 4
    while at + 8 <= len(content):
        (length,) = struct.unpack("<I", content[at + 4 : at + 8])
        yield content[at : at + 4], content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _of_flac(file: BinaryIO, tags: Mapping[str, str], software: str, channels: int) -> Metadata:
    blocks: list[Block] = []
    unknown: tuple[str, ...] = ()
    last = False
    file.seek(4)
    while not last:
        header = file.read(4)
        if len(header) < 4:
            break
        last, kind = bool(header[0] & 0x80), header[0] & 0x7F
        content = file.read(int.from_bytes(header[1:], "big"))
        if kind in _FLAC_KEPT:
            blocks.append(Block(bytes([kind]), content, _FLAC_KEPT[kind]))
        elif kind == 4:
            unknown = _unknown_comments(content)
            blocks.append(Block(bytes([kind]), content, ""))
    return Metadata(tags, software, "FLAC", tuple(blocks), _FLAC_SPEAKERS.get(channels, 0), unknown)


def read_comments(content: bytes) -> list[bytes]:
    """Return the comments of a Vorbis comment block, `NAME=value`, as far as they are whole."""
    comments: list[bytes] = []
    at = 4 + int.from_bytes(content[:4], "little")
    count = int.from_bytes(content[at : at + 4], "little")
    at += 4
    while len(comments) < count and at + 4 <= len(content):
        length = int.from_bytes(content[at : at + 4], "little")
        comments.append(content[at + 4 : at + 4 + length])
        at += 4 + length
    return comments


_COMMENTS_KNOWN = {*TAGS, "encoder", "software", "description", "organization", "waveformatextensible_channel_mask"}


def _unknown_comments(content: bytes) -> tuple[str, ...]:
    names = (comment.partition(b"=")[0].decode("latin-1").lower() for comment in read_comments(content))
    return tuple(dict.fromkeys(name for name in names if name not in _COMMENTS_KNOWN))


def _ogg_comments(head: bytes) -> bytes:
    for marker in (b"\x03vorbis", b"OpusTags"):
        at = head.find(marker)
        if at >= 0:
            return head[at + len(marker) :]
    return b""


def _of_id3(file: BinaryIO, tags: Mapping[str, str], software: str) -> Metadata:
    """Return the frames of an ID3v2.3 or 2.4 tag; of others, the tags that libsndfile reads."""
    file.seek(0)
    header = file.read(10)
    version, flags = header[3], header[5]
    size = _syncsafe(header[6:10])
    if version not in (3, 4) or flags & 0xC0:
        return Metadata(tags, software, "MP3")
    content, at, blocks = file.read(size), 0, []
    while at + 10 <= len(content) and content[at]:
        field_size = content[at + 4 : at + 8]
        length = _syncsafe(field_size) if version == 4 else int.from_bytes(field_size, "big")
        name = content[at : at + 4]
        known = name in _ID3_KNOWN
        meaning = "" if known else "a picture" if name == b"APIC" else f"the ID3 frame {name.decode('latin-1')}"
        if name != b"TSSE":
            blocks.append(Block(bytes([version]) + content[at : at + 10], content[at + 10 : at + 10 + length], meaning))
        at += 10 + length
    return Metadata(tags, software, "MP3", tuple(blocks))


_ID3_KNOWN = {id3 for _, id3 in TAGS.values()} | {b"TSSE", b"TYER"}


def _syncsafe(digits: bytes) -> int:
    value = 0
    for digit in digits:
        value = value << 7 | digit & 0x7F
    return value
