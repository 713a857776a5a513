"""Recordings decoded once: mono, 16 bits, at the training rate, cached with the measurements of each.

A kept sound is found again by the file's path, size and time of change. It is written whole before the note that says
it is there, so a half-written one is never used.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import Sound, audible, frame_levels, resampled
from gramophone.offline.data.recording import Heard
from gramophone.presets.atomic import atomic_write
from gramophone.realtime import files
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.system.cache_folder import cache_folder

_VERSION = 2
"""Version of the cache; a new one decodes everything again."""
_FRAME_S, _HOP_S = 0.02, 0.01
_PAUSE_S = 0.3
"""A silence shorter than this is part of what is audible."""
_EDGE_S = 0.05
"""What is kept before and after each audible part."""
FULL_SCALE = 32_767
"""What a kept sample of 1 is."""


def decoded(path: Path, rate: int) -> tuple[Heard, Path]:
    """Return the measurements of a recording, and the file with its sound `(frames,)`, int16 at `rate` Hz.

    Raises:
        SoundFileError: the recording cannot be read, or holds samples that are no number.
    """
    status = path.stat()
    key = f"{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}\n{rate}\n{_VERSION}"
    stem = cache_folder("decoded", hashlib.blake2b(key.encode(), digest_size=16).hexdigest())
    sound, note = stem.with_suffix(".npy"), stem.with_suffix(".json")
    if note.is_file():
        return Heard.from_json(json.loads(note.read_text("utf-8"))), sound
    with files.collected_remarks() as remarks_found:
        samples, own_rate = _read(path, rate)
    heard = replace(listen(samples, rate, own_rate), remarks=tuple(text for _, text in remarks_found))
    sound.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(sound) as part, part.open("wb") as file:
        np.save(file, samples)
    with atomic_write(note) as part:
        part.write_text(json.dumps(asdict(heard)), "utf-8")
    return heard, sound


def listen(samples: NDArray[np.int16], rate: int, own_rate: int) -> Heard:
    """Return the measurements of a decoded sound."""
    sound: Sound = np.divide(samples, FULL_SCALE, dtype=np.float32)
    frame, hop = round(_FRAME_S * rate), round(_HOP_S * rate)
    levels = frame_levels(sound, frame, hop)
    loud = audible(levels)
    return Heard(
        rate=own_rate,
        frames=len(samples),
        spans=_spans(loud, hop, frame, rate, len(samples)),
        level=float(np.sqrt(np.mean(levels[loud] ** 2))),
        peak=float(np.abs(sound).max(initial=0)),
        digest=hashlib.blake2b(samples.tobytes(), digest_size=16).hexdigest(),
    )


def _read(path: Path, rate: int) -> tuple[NDArray[np.int16], int]:
    sound: Sound
    if path.suffix == ".g722":
        sound, own_rate = corpora.load(path, corpora.G722_RATE), corpora.G722_RATE
    else:
        channels, own_rate = files.read(path)
        sound = mono(channels)
    if not np.isfinite(sound).all():
        raise files.SoundFileError(f"{path}: holds samples that are NaN or infinite; export it again")
    sound = resampled(sound, own_rate, rate)
    # What a float file holds beyond full scale is no distortion, and would become one.
    peak = max(float(np.abs(sound).max(initial=0)), 1.0)
    return np.round(sound / peak * FULL_SCALE).astype(np.int16), own_rate


def _spans(loud: NDArray[np.bool_], hop: int, frame: int, rate: int, frames: int) -> tuple[tuple[int, int], ...]:
    """Return the audible parts, pauses closed and edges kept, as first and one past the last frame."""
    places = np.flatnonzero(loud)
    if not len(places):
        return ()
    breaks = np.flatnonzero(np.diff(places) * hop > _PAUSE_S * rate)
    firsts, lasts = places[np.r_[0, breaks + 1]], places[np.r_[breaks, len(places) - 1]]
    edge = round(_EDGE_S * rate)
    starts, ends = np.maximum(firsts * hop - edge, 0), np.minimum(lasts * hop + frame + edge, frames)
    return tuple((int(start), int(end)) for start, end in zip(starts, ends, strict=True))
