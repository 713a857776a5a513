"""Metadata as each container stores it: RIFF and AIFF chunks, ID3 tags, FLAC blocks."""

from __future__ import annotations

import struct

from gramophone.realtime.files.metadata import TAGS, Metadata, info_items, read_comments
from gramophone.realtime.files.segments import OutputFile

_STREAMINFO_END = 42
_COMMENTS, _PADDING = 4, 1


def riff_chunks(data: Metadata) -> list[tuple[bytes, bytes]]:
    """Return names and contents of the chunks that a WAV keeps: first what wrote it, for readers of a file's start."""
    own = [block for block in data.blocks if data.family == "RIFF"]
    items = [item for block in own if not block.meaning for item in info_items(block.content) if item[0] != b"ISFT"]
    if not items:
        items = [(TAGS[name][0], value.encode() + b"\0") for name, value in data.tags.items() if name in TAGS]
    if data.software:
        items.insert(0, (b"ISFT", data.software.encode() + b"\0"))
    content = b"".join(name + struct.pack("<I", len(text)) + text + bytes(len(text) % 2) for name, text in items)
    info = [(b"LIST", b"INFO" + content)] if items else []
    return [*info, *((block.name, block.content) for block in own if block.meaning)]


def append_aiff_chunks(file: OutputFile, data: Metadata) -> None:
    """Append to a finished AIFF what it keeps of another."""
    if data.family != "AIFF":
        return
    end = file.seek(0, 2)
    for block in data.blocks:
        content = block.name + struct.pack(">I", len(block.content)) + block.content
        file.write(bytes(end % 2) + content)
        end = file.tell()
    file.write(bytes(end % 2))
    end = file.tell()
    file.seek(4)
    file.write(struct.pack(">I", end - 8))


def id3_tag(data: Metadata) -> bytes:
    """Return the ID3 tag (id3.org) that begins an MP3; the frames of another MP3 stay as they are."""
    version = 4
    software = b"\0" + data.software.encode("ascii", "replace")
    frames = [b"TSSE" + _syncsafe(len(software)) + b"\0\0" + software] if data.software else []
    if data.family == "MP3" and data.blocks:
        version = data.blocks[0].name[0]
        if version == 3 and data.software:
            frames = [b"TSSE" + struct.pack(">I", len(software)) + b"\0\0" + software]
        frames += [block.name[1:] + block.content for block in data.blocks]
    else:
        for name, value in data.tags.items():
            frames.append(_text_frame(TAGS[name][1], value))
    content = b"".join(frames)
    return b"ID3" + bytes((version, 0, 0)) + _syncsafe(len(content)) + content if content else b""


def flac_blocks(data: Metadata) -> bytes:
    """Return the metadata blocks of a FLAC beside STREAMINFO, none marked as the last."""
    own = data.blocks if data.family == "FLAC" else ()
    comments = [text for block in own if block.name[0] == _COMMENTS for text in read_comments(block.content)]
    if not comments:
        comments = [f"{name.upper()}={value}".encode() for name, value in data.tags.items()]
    comments = [text for text in comments if not text.upper().startswith(b"ENCODER=")]
    if data.software:
        comments.insert(0, b"ENCODER=" + data.software.encode())
    vendor = b"gramophone"
    content = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(comments))
    content += b"".join(struct.pack("<I", len(text)) + text for text in comments)
    kept = [(block.name[0], block.content) for block in own if block.meaning]
    return b"".join(bytes([kind]) + len(text).to_bytes(3, "big") + text for kind, text in [(_COMMENTS, content), *kept])


def insert_flac_blocks(file: OutputFile, blocks: bytes) -> None:
    """Put `blocks` behind STREAMINFO, in a finished FLAC that was written `len(blocks)` bytes from the file's start.

    libFLAC's own comments become padding: there may be only one block of them.
    """
    file.seek(len(blocks))
    head = file.read(_STREAMINFO_END)
    last = head[4] & 0x80
    at = len(blocks) + _STREAMINFO_END
    while not last:
        file.seek(at)
        header = file.read(4)
        size = int.from_bytes(header[1:], "big")
        last = header[0] & 0x80
        if header[0] & 0x7F == _COMMENTS:
            file.seek(at)
            file.write(bytes([last | _PADDING]) + header[1:] + bytes(size))
        at += 4 + size
    file.seek(0)
    file.write(head + blocks)


def _text_frame(name: bytes, value: str) -> bytes:
    if name == b"COMM":
        content = b"\3eng\0" + value.encode()
    elif name.startswith(b"W"):
        content = value.encode("latin-1", "replace")
    else:
        content = b"\3" + value.encode()
    return name + _syncsafe(len(content)) + b"\0\0" + content


def _syncsafe(value: int) -> bytes:
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))
