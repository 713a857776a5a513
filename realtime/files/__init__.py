"""Sound files: read block by block to their exact end or refused by name; written whole or not at all."""

from __future__ import annotations

from gramophone.realtime.files.metadata import Metadata
from gramophone.realtime.files.reader import OTHER_ENDINGS, READABLE_ENDINGS, AudioReader, finite_sound, read
from gramophone.realtime.files.segments import Remark, SoundFileError, collected_remarks, publish_remarks
from gramophone.realtime.files.writer import EXTENSIONS, FORMATS, AudioWriter

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "OTHER_ENDINGS",
    "READABLE_ENDINGS",
    "AudioReader",
    "AudioWriter",
    "Metadata",
    "Remark",
    "SoundFileError",
    "collected_remarks",
    "finite_sound",
    "publish_remarks",
    "read",
]
